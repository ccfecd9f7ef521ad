"""Addresses in a compressed kernel without its symbol table: exported symbols, types, patterns."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gymbal_envs.guests.image import MissingRequirementError, require

_LZ4_LEGACY = bytes.fromhex("02214c18")
_ELF_SECTION = struct.Struct("<IIQQQQIIQQ")
_BTF_HEADER = struct.Struct("<HBBIIIII")
_BTF_TYPE = struct.Struct("<III")
_KIND_STRUCT = 4
# Bytes that follow the common part of a type, by kind: fixed ones, and for each of its members.
_BTF_FIXED = {1: 4, 3: 12, 14: 4, 17: 4}
_BTF_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the kernel: its bytes and where they lie in memory."""

    address: int
    content: bytes


class KernelImage:
    """A kernel as it is in memory, from a Debian ``vmlinuz``.

    Args:
        path: of the compressed kernel.

    Raises:
        MissingRequirementError: lz4 is not installed.
        ValueError: the file holds no kernel packed with LZ4.
    """

    def __init__(self, path: Path) -> None:
        require("lz4")
        packed = path.read_bytes()
        start = packed.find(_LZ4_LEGACY)
        if start < 0:
            raise ValueError(f"{path}: no kernel packed with LZ4 in it")
        # What follows the stream makes lz4 complain, after it has unpacked everything.
        done = subprocess.run(
            ["lz4", "-d", "-c"], input=packed[start:], capture_output=True, check=False
        )
        if not done.stdout.startswith(b"\x7fELF"):
            raise ValueError(f"{path}: no ELF file in it: {done.stderr.decode().strip()}")
        self.sections = _sections(done.stdout)

    def find_code(self, pattern: bytes, before: bytes, within: int) -> int:
        """Address of the only place in the start-up code with a pattern and another before it.

        Raises:
            MissingRequirementError: there is none, or more than one: another kernel is needed.
        """
        code = self.sections[".init.text"]
        found, at = [], code.content.find(pattern)
        while at >= 0:
            if before in code.content[max(at - within, 0) : at]:
                found.append(code.address + at)
            at = code.content.find(pattern, at + 1)
        if len(found) != 1:
            raise MissingRequirementError(f"a kernel whose start-up code is known, got {found}")
        return found[0]

    def exported(self, name: str) -> int:
        """Address of a symbol that modules may use.

        Raises:
            KeyError: there is none of this name.
        """
        strings = self.sections["__ksymtab_strings"]
        at = (b"\0" + strings.content).find(b"\0" + name.encode() + b"\0")
        # Each entry has where value, name and namespace lie, relative to these numbers themselves.
        for table in ("__ksymtab", "__ksymtab_gpl") if at >= 0 else ():
            section = self.sections[table]
            for offset, (value, named, _) in enumerate(struct.iter_unpack("<iii", section.content)):
                entry = section.address + 12 * offset
                if entry + 4 + named == strings.address + at:
                    return section.address + 12 * offset + int(value)
        raise KeyError(name)

    def member_offsets(self, structure: str) -> dict[str, int]:
        """Offset in bytes of each member of a structure.

        Raises:
            KeyError: the kernel has no type information about it.
        """
        btf = self.sections[".BTF"].content
        _, _, _, header, types, types_len, strings, strings_len = _BTF_HEADER.unpack_from(btf)
        names = btf[header + strings : header + strings + strings_len]

        def name_at(offset: int) -> str:
            return names[offset : names.index(b"\0", offset)].decode()

        wanted = names.find(b"\0" + structure.encode() + b"\0") + 1
        at, end = header + types, header + types + types_len
        while at < end:
            name, info, _ = _BTF_TYPE.unpack_from(btf, at)
            kind, count = info >> 24 & 0x1F, info & 0xFFFF
            at += _BTF_TYPE.size
            size = _BTF_FIXED.get(kind, 0) + count * _BTF_EACH.get(kind, 0)
            if kind == _KIND_STRUCT and name == wanted:
                members = struct.iter_unpack("<III", btf[at : at + size])
                mask = 0xFFFFFF if info >> 31 else 0xFFFFFFFF
                return {name_at(member): (bits & mask) // 8 for member, _, bits in members}
            at += size
        raise KeyError(structure)


def _sections(elf: bytes) -> dict[str, Section]:
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [_ELF_SECTION.unpack_from(elf, table + size * k) for k in range(count)]
    names = elf[headers[names_index][4] :]
    found = {}
    for name, kind, _, address, offset, length, *_ in headers:
        content = b"" if kind == 8 else elf[offset : offset + length]
        found[names[name : names.index(b"\0", name)].decode()] = Section(address, content)
    return found
