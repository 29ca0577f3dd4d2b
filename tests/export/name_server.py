"""A name server that says what a test wants (RFC 1035, the least of it), over UDP and TCP on port 53."""

import ipaddress
import socket
import struct
import threading

NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME, REFUSED = 0, 2, 3, 5
A, AAAA = 1, 28


def question(message):
    """(name, type, end of the question)."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels), struct.unpack_from(">H", message, at + 1)[0], at + 5


class NameServer:
    """`names`: name -> addresses. `behave(message)`: the whole answer, or None for silence, instead."""

    def __init__(self, names, address="127.0.0.1", behave=None):
        self.names, self.behave, self.asked, self.asked_by_tcp = names, behave, [], 0
        self.code = None  # of every answer, instead of the truth
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.socket(family, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, 53))
        self.tcp.listen(8)
        self.udp_thread = threading.Thread(target=self.serve_udp, daemon=True)
        self.udp_thread.start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def answer(self, message, limit):
        if self.behave:
            return self.behave(message)
        name, kind, end = question(message)
        self.asked.append((name, kind))
        if self.code is not None or name.lower() not in self.names:
            code = NO_SUCH_NAME if self.code is None else self.code
            return message[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, 0, 0, 0) + message[12:end]
        records = b""
        found = [ipaddress.ip_address(text) for text in self.names[name.lower()]]
        found = [address for address in found if address.version == (4 if kind == A else 6)]
        for address in found:
            records += struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(address.packed)) + address.packed
        is_cut = end + len(records) > limit
        flags = 0x8180 | (0x0200 if is_cut else 0)
        count = 0 if is_cut else len(found)
        return message[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + message[12:end] + (b"" if is_cut else records)

    def serve_udp(self):
        while True:
            try:
                message, sender = self.udp.recvfrom(4096)
                if not message:
                    return
                said = self.answer(message, 512)
                if said is not None:
                    self.udp.sendto(said, sender)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            self.asked_by_tcp += 1
            threading.Thread(target=self.serve_connection, args=(connection,), daemon=True).start()

    def serve_connection(self, connection):
        try:
            while True:
                size = connection.recv(2, socket.MSG_WAITALL)
                if len(size) < 2:
                    break
                said = self.answer(connection.recv(struct.unpack(">H", size)[0], socket.MSG_WAITALL), 65535)
                if said is None:
                    break
                connection.sendall(struct.pack(">H", len(said)) + said)
        except OSError:
            pass
        connection.close()

    def close(self):
        """The port is free after that."""
        if self.udp_thread.is_alive():
            with socket.socket(self.udp.family, socket.SOCK_DGRAM) as last:
                last.sendto(b"", self.udp.getsockname())
            self.udp_thread.join()
        self.udp.close()
        try:
            self.tcp.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.tcp.close()
