#!/usr/bin/python3
"""A test bench that makes the socket pair itself and lets harness and device inherit its ends: PLUMBLINE DEVICE."""
import os
import socket
import subprocess
import sys

ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
environment = {**os.environ, "PLUMBLINE_FD": str(its.fileno())}
with subprocess.Popen([sys.argv[2]], env=environment, pass_fds=[its.fileno()]):
    its.close()
    command = [sys.argv[1], "test", "--connect", f"fd:{ours.fileno()}", *sys.argv[3:]]
    status = subprocess.run(command, pass_fds=[ours.fileno()], check=False).returncode
    ours.close()
sys.exit(status)
