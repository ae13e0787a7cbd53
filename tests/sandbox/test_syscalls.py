"""Every rule of the seccomp filter, in an interpreter of BPF and in the kernel."""

from __future__ import annotations

import errno
import os
import struct
from functools import cache

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxSpec
from nemo_gym.sandbox.providers.local import syscalls
from nemo_gym.sandbox.providers.local.syscalls import MACHINES, filter_program, strict_filter

ALLOWED, ERROR = 0x7FFF0000, 0x00050000
SUPERVISOR = 4711
STRICT = cache(strict_filter)


@cache
def instructions(code: bytes) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("HBBI", code))


def verdict(
    machine: str, number: int, *arguments: int, architecture: int | None = None, code: bytes | None = None
) -> int:
    """What a filter answers to a call (seccomp(2), the classic BPF of linux/filter.h)."""
    program = instructions(code or filter_program(SUPERVISOR, machine))
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("iIQ6Q", number, architecture or MACHINES[machine], 0, *padded)
    accumulator = place = 0
    while True:
        operation, if_true, if_false, value = program[place]
        place += 1
        match operation:
            case 0x20:
                accumulator = struct.unpack_from("I", data, value)[0]
            case 0x15:
                place += if_true if accumulator == value else if_false
            case 0x45:
                place += if_true if accumulator & value else if_false
            case _:
                assert operation == 0x06
                return value


@pytest.mark.parametrize("column", [0, 1], ids=list(MACHINES))
class TestRules:
    def test_dangerous_calls_are_refused(self, column: int) -> None:
        machine = list(MACHINES)[column]
        for name, numbers in syscalls.REFUSED.items():
            assert verdict(machine, numbers[column]) == ERROR | errno.EPERM, name

    def test_signals_to_the_supervisor_do_nothing(self, column: int) -> None:
        machine = list(MACHINES)[column]
        for name, numbers in syscalls.ON_FIRST.items():
            assert verdict(machine, numbers[column], SUPERVISOR) == ERROR, name
            assert verdict(machine, numbers[column], SUPERVISOR + (7 << 32)) == ERROR, name
            assert verdict(machine, numbers[column], 2) == ALLOWED, name
        for name, (numbers, user) in syscalls.ON_SECOND.items():
            assert verdict(machine, numbers[column], 0, SUPERVISOR) == ERROR, name
            assert verdict(machine, numbers[column], user, 0) == ERROR, name
            assert verdict(machine, numbers[column], 0, 2) == ALLOWED, name

    def test_clone_makes_processes_and_threads_but_no_namespace(self, column: int) -> None:
        machine, number = list(MACHINES)[column], syscalls.CLONE[column]
        assert verdict(machine, number, 0x11) == ALLOWED
        assert verdict(machine, number, 0x3D0F00) == ALLOWED
        for bit in (17, 25, 26, 27, 28, 29, 30):
            assert verdict(machine, number, 1 << bit | 0x11) == ERROR | errno.EPERM
        assert verdict(machine, 435) == ERROR | errno.ENOSYS

    def test_sockets_are_local_or_of_the_internet(self, column: int) -> None:
        machine = list(MACHINES)[column]
        for number in (syscalls.SOCKET[column], syscalls.SOCKETPAIR[column]):
            for domain in range(64):
                expected = ALLOWED if domain in (1, 2, 10) else ERROR | errno.EPERM
                assert verdict(machine, number, domain) == expected

    def test_no_input_is_put_into_a_terminal(self, column: int) -> None:
        machine, number = list(MACHINES)[column], syscalls.IOCTL[column]
        assert verdict(machine, number, 0, 0x5412) == ERROR | errno.EPERM
        assert verdict(machine, number, 0, 0x5412 + (1 << 32)) == ERROR | errno.EPERM
        assert verdict(machine, number, 0, 0x541C) == ERROR | errno.EPERM
        assert verdict(machine, number, 0, 0x5413) == ALLOWED

    def test_calls_of_another_machine_are_refused(self, column: int) -> None:
        machine = list(MACHINES)[column]
        assert verdict(machine, 39, architecture=0x40000003) == ERROR | errno.EPERM
        assert verdict(machine, 39 + 0x40000000) == ERROR | errno.EPERM

    def test_other_calls_are_allowed(self, column: int) -> None:
        machine = list(MACHINES)[column]
        special = {numbers[column] for numbers in (*syscalls.REFUSED.values(), (435, 435))}
        for number in set(range(470)) - special:
            assert verdict(machine, number, 1, 7) == ALLOWED, number


@pytest.mark.parametrize("column", [0, 1], ids=list(MACHINES))
class TestStrictRules:
    """The filter of a sandbox without namespaces."""

    def strict(
        self, column: int, number: int, *arguments: int, network: bool = False, owner: bool = False
    ) -> int:
        machine = list(MACHINES)[column]
        code = STRICT(SUPERVISOR, network=network, owner=owner, machine=machine)
        return verdict(machine, number, *arguments, code=code)

    def test_objects_of_this_machine_are_refused(self, column: int) -> None:
        for name, numbers in (syscalls.REFUSED | syscalls.SHARED_REFUSED).items():
            if numbers[column] is not None:
                assert self.strict(column, numbers[column]) == ERROR | errno.EPERM, name
        for name, numbers in syscalls.ATTRIBUTES.items():
            assert self.strict(column, numbers[column]) == ERROR | errno.EOPNOTSUPP, name

    def test_modes_and_times_stay_where_other_files_have_the_same_owner(self, column: int) -> None:
        for name, numbers in syscalls.OWNED.items():
            if numbers[column] is not None:
                assert self.strict(column, numbers[column], owner=True) == ERROR, name
                assert self.strict(column, numbers[column]) == ALLOWED, name

    def test_a_process_changes_only_itself(self, column: int) -> None:
        for name, place in syscalls.ONLY_ITSELF.items():
            numbers = syscalls.ON_FIRST.get(name) or syscalls.ON_SECOND[name][0]
            others = [0] * place
            assert self.strict(column, numbers[column], *others, 0) == ALLOWED, name
            for process in (1, 77, SUPERVISOR, 0xFFFFFFFF):
                assert self.strict(column, numbers[column], *others, process) == ERROR | errno.EPERM, name
        for name, (numbers, user) in syscalls.ON_SECOND.items():
            assert self.strict(column, numbers[column], user, 0) == ERROR | errno.EPERM, name

    def test_signals_to_the_supervisor_or_everybody_do_nothing(self, column: int) -> None:
        number = syscalls.ON_FIRST["kill"][column]
        for process in (SUPERVISOR, -SUPERVISOR & (1 << 64) - 1, (1 << 64) - 1, (1 << 32) - 1):
            assert self.strict(column, number, process, 9) == ERROR
        for process in (0, 2, -2 & (1 << 64) - 1):
            assert self.strict(column, number, process, 9) == ALLOWED

    def test_no_descriptor_sends_signals(self, column: int) -> None:
        for command in syscalls.OWNERS:
            assert self.strict(column, syscalls.FCNTL[column], 3, command) == ERROR | errno.EPERM
        for command in (1, 2, 3, 4, 1030):  # F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
            assert self.strict(column, syscalls.FCNTL[column], 3, command) == ALLOWED
        for command in syscalls.FILE_FLAGS:
            assert self.strict(column, syscalls.IOCTL[column], 3, command) == ERROR | errno.EPERM

    def test_sockets_are_pairs_or_of_the_internet(self, column: int) -> None:
        for domain in (0, 1, 2, 3, 10, 16, 17, 38, 40, 63):
            for network in (False, True):
                expected = ALLOWED if network and domain in (2, 10) else ERROR | errno.EPERM
                assert self.strict(column, syscalls.SOCKET[column], domain, 1, network=network) == expected
            for kind in range(16):
                expected = ALLOWED if domain == 1 and kind in (1, 5) else ERROR | errno.EPERM
                for flags in (0, 0x800, 0x80000, 0x80800):
                    assert self.strict(column, syscalls.SOCKETPAIR[column], domain, kind | flags) == expected

    def test_other_calls_are_allowed(self, column: int) -> None:
        refused = (syscalls.REFUSED | syscalls.SHARED_REFUSED | syscalls.ATTRIBUTES).values()
        special = {
            numbers[column] for numbers in (*refused, (435, 435), syscalls.SOCKET, syscalls.SOCKETPAIR)
        }
        special |= {numbers[column] for numbers in syscalls.ON_FIRST.values()}
        special |= {numbers[column] for numbers, _ in syscalls.ON_SECOND.values()}
        for number in set(range(470)) - special:
            assert self.strict(column, number, 1, 7) == ALLOWED, number


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        filter_program(1, "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        strict_filter(1, network=False, owner=True, machine="riscv64")


async def test_the_kernel_refuses_the_calls() -> None:
    column = list(MACHINES).index(os.uname().machine)
    numbers = [numbers[column] for numbers in syscalls.REFUSED.values()]
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"for number in {numbers}:\n"
        "    print(libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno())\n"
        "import socket\n"
        "for domain in (16, 17, 40, 38):\n"
        "    try: socket.socket(domain, socket.SOCK_RAW)\n"
        "    except PermissionError: print('-1 1')\n"
    )
    provider = {"local": {"create": {"isolation": "required"}}}
    async with AsyncSandbox(provider, SandboxSpec(files={"calls.py": code})) as sandbox:
        await sandbox.start()
        result = await sandbox.exec("python3 -I -S calls.py")
    assert result.stdout == "-1 1\n" * (len(numbers) + 4), result.stderr
