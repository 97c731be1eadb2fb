#!/bin/sh -eu
# Builds fuzz targets as OSS-Fuzz and ClusterFuzzLite ask for it: build.sh [TARGET...], all of them by default.
# Honours $CC, $CFLAGS, $CXX, $CXXFLAGS, $LIB_FUZZING_ENGINE; leaves programs, seeds and dictionaries in $OUT. $WORK is
# where objects go. Libraries are linked statically: where the programs run there are none.
cd "$(dirname "$0")/../.."
: "${OUT:?}" "${WORK:?}" "${CC:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}"
build=$WORK/plumbline

# A compiler newer than ours may warn of more; that is no reason to build nothing.
set -- ${@:+FUZZ_TARGETS="$*"}
make --no-print-directory -j"$(nproc)" BUILD="$build" CC="$CC" CFLAGS="${CFLAGS:-} -Wno-error" SANITIZE= \
    FUZZ_LINK="$CXX ${CXXFLAGS:-}" FUZZ_ENGINE="$LIB_FUZZING_ENGINE" \
    LDLIBS="-Wl,-Bstatic -lyaml -ljansson -lmd -Wl,-Bdynamic -lpthread" "$@" fuzz-programs

for program in "$build"/targets/*; do
    target=$(basename "$program")
    cp "$program" "$OUT/"
    /usr/bin/python3 fuzz/seeds.py --zip "$build" "$OUT/${target}_seed_corpus.zip" "$target"
    dictionary=$build/gen/$(/usr/bin/python3 fuzz/run.py --dictionary-of "$target")
    if [ -f "$dictionary" ]; then
        cp "$dictionary" "$OUT/$target.dict"
    fi
done
