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
    "truncate outside": "os.truncate(SECRET, 0)",
    "delete outside": "os.remove(SECRET)",
    "link from outside": "os.link(SECRET, 'link'); print(open('link').read())",
    "link to outside": "os.symlink(SECRET, 'symlink'); print(open('symlink').read())",
    "mode outside": "os.chmod(SECRET, 0o777); assert os.stat(SECRET).st_mode & 0o777 == 0o777",
    "time outside": "os.utime(SECRET, (1, 1)); assert os.stat(SECRET).st_mtime == 1",
    "attribute outside": "os.setxattr(SECRET, 'user.x', b'1')",
    "names outside": "print(os.listdir(os.path.dirname(SECRET)))",
    "watch outside": (
        "assert libc.inotify_add_watch(libc.inotify_init(), os.path.dirname(SECRET).encode(), 0xFFF) >= 0"
    ),
    "socket with a name": "socket.socket(socket.AF_UNIX).connect(SECRET + '.socket')",
    "datagram to a name": (
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', SECRET + '.socket')"
    ),
    "command outside": "print(open(f'/proc/{OUTSIDE}/cmdline').read())",
    "environment outside": "print(open(f'/proc/{OUTSIDE}/environ').read())",
    "memory outside": "open(f'/proc/{OUTSIDE}/mem', 'rb')",
    "limit outside": "resource.prlimit(OUTSIDE, resource.RLIMIT_CPU, (1, 1))",
    "priority outside": "os.setpriority(os.PRIO_PROCESS, OUTSIDE, 19)",
    "cores outside": "os.sched_setaffinity(OUTSIDE, {0})",
    "stop outside": "signal.pidfd_send_signal(os.pidfd_open(OUTSIDE), signal.SIGCONT)",
    "message queue of system V": "assert libc.msgget(GROUP, 0) >= 0",
    "semaphore of system V": "assert libc.semget(GROUP, 1, 0) >= 0",
    "kernel log": "assert libc.klogctl(3, ctypes.create_string_buffer(10), 10) >= 0",
}
"""Each raises an exception inside, because what it tries is not possible. They know a file with a secret, a
process and sockets outside."""

EXCESSES: Final = {
    "300 processes": (
        "for _ in range(300):\n    if os.fork() == 0: time.sleep(600)\nprint('done', flush=True)"
    ),
    "400 MB": (
        "for n in range(4):\n"
        "    with open(f'{n}', 'wb') as f:\n        for _ in range(100): f.write(b'x' * (1 << 20))\n"
        "print('done', flush=True)"
    ),
    "400 MB in deleted files": (
        "x = []\nfor n in range(4):\n    f = open(f'{n}', 'wb'); os.remove(f'{n}'); x.append(f)\n"
        "    for _ in range(100): f.write(b'x' * (1 << 20))\n"
        "time.sleep(5); print('done', flush=True)"
    ),
    "2 GB of memory": "x = bytearray(2 << 30)\nprint('done', flush=True)",
    "2 GB of memory in many": (
        "r, w = os.pipe()\nfor _ in range(8):\n"
        "    if os.fork() == 0: x = b'x' * (256 << 20); os.write(w, b'x'); time.sleep(600)\n"
        "for _ in range(8): os.read(r, 1)\nprint('done', flush=True)"
    ),
}
"""None of them prints a word and then ends like a program that kept its limits."""
