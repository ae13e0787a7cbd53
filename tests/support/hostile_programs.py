"""Programs that attack their sandbox, its limits or its machine, by name."""

from __future__ import annotations

from typing import Final

IMPORTS: Final = "import ctypes, mmap, os, resource, signal, socket, subprocess, sys, threading, time\n"
CALL: Final = "libc = ctypes.CDLL(None, use_errno=True)\nx86 = os.uname().machine == 'x86_64'\n"

BURDENS: Final = {
    "fork bomb": "while True:\n    try: os.fork()\n    except OSError: pass",
    "fork bomb that ignores signals": (
        "for n in signal.valid_signals() - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
        "while True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"
    ),
    "daemon": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)",
    "daemon with the output": "subprocess.Popen(['sleep', '600'], start_new_session=True)",
    "threads": "for _ in range(2000): threading.Thread(target=time.sleep, args=(600,)).start()",
    "loop": "while True: pass",
    "loop that ignores signals": (
        "for n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "waits for input": "os.read(os.pipe()[0], 1)",
    "half a line": "os.write(1, b'half'); time.sleep(600)",
    "closed outputs": "os.close(1); os.close(2); time.sleep(600)",
    "output": "while True: os.write(1, b'x' * 65536)",
    "errors": "while True: os.write(2, b'x' * 65536)",
    "output of a child": "subprocess.run(['yes'])",
    "heap": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "shared mapping": "m = mmap.mmap(-1, 1 << 32)\nfor n in range(0, 1 << 32, 4096): m[n] = 1",
    "heap of many": (
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n        x = b'x' * (60 << 20); time.sleep(600)\ntime.sleep(600)"
    ),
    "shared memory": "f = open('/dev/shm/x', 'wb')\nwhile True: f.write(bytes(1 << 20))",
    "temporary files": "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(1 << 20)); f.flush()",
    "deleted file": "f = open('x', 'wb'); os.remove('x')\nwhile True: f.write(bytes(1 << 20)); f.flush()",
    "empty files": "for n in range(50_000): open(f'{n}', 'w').close()\ntime.sleep(600)",
    "deep folders": "for _ in range(3000): os.mkdir('d'); os.chdir('d')",
    "locked folder": "os.mkdir('d'); open('d/x', 'w').close(); os.chmod('d', 0)",
    "pipes": "x = []\nwhile True:\n    try: x.append(os.pipe())\n    except OSError: time.sleep(600)",
    "exits at once": "os._exit(0)",
    "dies": "os.abort()",
    "deep recursion": "sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "large number": "print(10 ** 10 ** 8)",
    "kills all": "os.kill(-1, 9)",
    "kills the first": "os.kill(1, 9); os.kill(1, 2); time.sleep(0.1)",
    "traced": "libc.ptrace(16, 1, 0, 0)",
    "limits of the first": "resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))",
    "descriptors": "os.closerange(0, 1024)",
    "system V memory": "libc.shmget(1, 1 << 20, 0o1666)",
    "system V semaphore": "libc.semget(1, 1, 0o1666)",
    "attribute": "os.setxattr('/tmp', 'user.x', b'1')",
    "mode": "os.chmod('/tmp', 0); os.chmod('.', 0)",
    "vfork and sleep": "subprocess.Popen('sleep 600 & sleep 600', shell=True, start_new_session=True)",
    "zombies": "for _ in range(100):\n    if os.fork() == 0: os._exit(0)\ntime.sleep(0.1)",
    "named pipe": "os.mkfifo('p'); open('p')",
}
"""Each ends within its time, and leaves nothing behind."""

ESCAPES: Final = {
    "secret file": "print(open(SECRET).read())",
    "shadow": "print(open('/etc/shadow').read())",
    "home of root": "print(os.listdir('/root/.ssh'))",
    "write outside": "open('/usr/x', 'w')",
    "write in etc": "open('/etc/x', 'w')",
    "write in proc": "open('/proc/sys/kernel/core_pattern', 'w')",
    "tcp": "socket.create_connection(('127.0.0.1', PORT), 2)",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
    "abstract socket": "socket.socket(socket.AF_UNIX).connect(ABSTRACT)",
    "vsock": "socket.socket(40, socket.SOCK_STREAM)",
    "raw": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "packet": "socket.socket(17, socket.SOCK_RAW)",
    "netlink": "socket.socket(16, socket.SOCK_RAW)",
    "environment": "print(os.environ['API_KEY'])",
    "processes": "os.kill(OUTSIDE, 0)",
    "memory of the first": "open('/proc/1/mem', 'rb')",
    "environment of the first": "open('/proc/1/environ', 'rb').read()",
    "descriptors of the first": "os.listdir('/proc/1/fd')",
    "trace": "assert libc.ptrace(16, 1, 0, 0) == 0",
    "mount": "assert libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None) == 0",
    "user namespace": "assert libc.unshare(0x10000000) == 0",
    "namespace by clone": "assert libc.syscall(56 if x86 else 220, 0x10000011, 0, 0, 0, 0) >= 0",
    "namespace by clone3": "assert libc.syscall(435, 0, 0) == 0 or ctypes.get_errno() != 38",
    "user 0": "os.setuid(0)",
    "user 0 by sudo": "subprocess.run(['su', '-c', 'true'], check=True, stdin=subprocess.DEVNULL)",
    "io_uring": "assert libc.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0",
    "bpf": "assert libc.syscall(321 if x86 else 280, 0, 0, 0) == 0",
    "userfaultfd": "assert libc.syscall(323 if x86 else 282, 1) >= 0",
    "keyring": "assert libc.syscall(250 if x86 else 219, 0, -3, 0) >= 0",
    "block device": "os.mknod('d', 0o60666, os.makedev(254, 0)); open('d', 'rb').read(1)",
    "memfd": "os.memfd_create('x')",
    "message queue": "assert libc.mq_open(b'/x', 0o102, 0o666, None) >= 0",
    "terminal input": "assert libc.ioctl(0, 0x5412, b'x') == 0",
    "inherited descriptors": "print([os.readlink(f'/proc/self/fd/{n}') for n in range(3, 1024)][0])",
    "chroot": "os.chroot('/tmp')",
    "kernel log": "assert libc.klogctl(3, ctypes.create_string_buffer(10), 10) >= 0",
}
"""Each raises an exception inside, because what it tries is not possible."""
