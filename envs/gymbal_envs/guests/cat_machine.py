"""A machine whose Linux believes in cache allocation and monitoring: for a real resctrl.

QEMU emulates a processor without them. Linux probes older ones by writing a way mask to a register
and reading it back; a debugger answers for the hardware once, and sets what the processor's
identification would have said about monitoring. The file system is the kernel's own in every
respect; nothing is really divided and all counters read 0.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from gymbal_envs.guests.agent import Agent
from gymbal_envs.guests.gdb_client import RAX, GdbClient
from gymbal_envs.guests.image import GuestImage, require
from gymbal_envs.guests.kernel_image import KernelImage
from gymbal_envs.guests.qemu import EMULATOR

WAYS = 20
"""What Linux assumes of processors that it probes so, with 4 classes of at least 2 ways."""
NUM_RMIDS = 32

_FULL_MASK = (1 << WAYS) - 1
_COMPARE = bytes.fromhex("3d ffff0f00 0f85")  # cmp $0xfffff,%eax; jne
_MASK_REGISTER = bytes.fromhex("900c0000")  # MSR_IA32_L3_CBM_BASE
_MONITORING_WORD = 11  # of the capabilities, with L3 occupancy and both kinds of bandwidth
_MONITORING = 0x0E
_BYTES_PER_COUNT = 65536


class CatMachine:
    """Boots an image with a kernel that has resctrl.

    Args:
        folder: for sockets and logs: short, a UNIX socket's path has at most 107 bytes.
        image: what it boots.
        memory_mib: of the guest.
        timeout_s: to boot, and for an answer.

    Attributes:
        agent: the program in the guest.

    Raises:
        MissingRequirementError: QEMU or lz4 is not installed, or the kernel is a strange one.
        OSError: it does not start.
    """

    def __init__(
        self, folder: Path, image: GuestImage, memory_mib: int = 768, timeout_s: float = 300.0
    ) -> None:
        require(EMULATOR)
        kernel = KernelImage(image.kernel)
        stub, agent = folder / "gdb", folder / "agent"
        arguments = (
            f"{EMULATOR} -nodefaults -no-user-config -display none -no-reboot -machine pc"
            f" -accel tcg,thread=single,tb-size=256 -smp 2 -m {memory_mib}M"
            " -cpu Haswell-noTSX,model=63 -S"
            f" -kernel {image.kernel} -initrd {image.initrd}"
            f" -chardev socket,id=gdb,path={stub},server=on,wait=off -gdb chardev:gdb"
            f" -serial file:{folder / 'console'} -serial unix:{agent},server=on,wait=off"
        ).split()
        arguments += ["-append", "console=ttyS0 quiet panic=-1 nokaslr tsc=reliable no_timer_check"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.agent = Agent(agent, timeout_s)
        try:
            _make_believe(GdbClient(stub, timeout_s), kernel)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        self.agent.close()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _make_believe(gdb: GdbClient, kernel: KernelImage) -> None:
    try:
        # Linux is about to compare the mask that it read back with the one that it wrote.
        gdb.run_until(kernel.find_code(_COMPARE, _MASK_REGISTER, within=64))
        gdb.set_register(RAX, _FULL_MASK)
        processor = kernel.exported("boot_cpu_data")
        member = kernel.member_offsets("cpuinfo_x86")
        # The capabilities are the only member without a name: a union.
        flags = processor + member[""] + 4 * _MONITORING_WORD
        gdb.write(flags, bytes([gdb.read(flags, 1)[0] | _MONITORING]))
        for name, value in (
            ("x86_cache_max_rmid", NUM_RMIDS - 1),
            ("x86_cache_occ_scale", _BYTES_PER_COUNT),
            ("x86_cache_mbm_width_offset", 0),
        ):
            gdb.write(processor + member[name], value.to_bytes(4, "little"))
        gdb.detach()
    finally:
        gdb.close()
