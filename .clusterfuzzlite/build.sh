#!/bin/sh -eu
# ClusterFuzzLite looks for this script here; the targets are built as for OSS-Fuzz.
exec "${SRC:-.}/plumbline/fuzz/oss-fuzz/build.sh" "$@"
