"""Debian's nginx in front of a scripted server, with a certificate of a private authority: what a real front end does to
a request when all is well, and when it is not."""

import http.server
import os
import subprocess
import threading
import time

import harness
import support
import wire

# What each listener is for. All but `tls` differ from it in one thing.
CONFIGURATION = """
daemon off; master_process on; worker_processes 1; pid nginx.pid; error_log stderr info; {user}
events {{ worker_connections 64; }}
http {{
	log_format short '$server_port $status'; access_log access.log short; server_tokens off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	ssl_certificate server.pem; ssl_certificate_key server.key;
	client_max_body_size 32m; proxy_request_buffering off; proxy_http_version 1.1; proxy_set_header Host $http_host;
	error_page 599 = @hang_up;
	server {{ {tls}
		if (-f {folder}/rude) {{ return 444; }}
		location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_intercept_errors on; }}
		location @hang_up {{ return 444; }} }}
	server {{ {redirects}
		location / {{ return 307 https://$http_host/elsewhere; }}
		location /elsewhere {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
	server {{ {small} client_max_body_size 512; location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
	server {{ {slow} location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_read_timeout 1s; }} }}
	server {{ {mutual} ssl_client_certificate ca.pem; ssl_verify_client on;
		location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
	server {{ {misnamed} ssl_certificate elsewhere.pem; ssl_certificate_key elsewhere.key; return 200; }}
	server {{ {plain} location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
}}
"""
LISTENERS = ("tls", "redirects", "small", "slow", "mutual", "misnamed", "plain")
HANG_UP = 599  # the status with which the scripted server has nginx close the connection, without a word


def openssl(folder, *arguments):
    subprocess.run([support.require_program("openssl"), *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


HERE = "DNS:localhost,IP:127.0.0.1,IP:::1"


def make_certificate(folder, name, subject, authority="ca", names=HERE):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={subject}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    with open(os.path.join(folder, "names"), "w", encoding="utf-8") as file:
        file.write(f"subjectAltName={names}\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem")


class Answer:
    """What the scripted server does with one request."""

    def __init__(self, status=200, words=b"", headers=None, delay_s=0, cut_body_at=None, cut_answer_at=None):
        self.status, self.words, self.headers, self.delay_s = status, words, headers or {}, delay_s
        self.cut_body_at = cut_body_at      # closes after having read so much of the request
        self.cut_answer_at = cut_answer_at  # closes after having sent so much of `words`


class Upstream(http.server.ThreadingHTTPServer):
    """Keeps what arrived whole, in `requests`, with its time; answers as `script` says, and then with 200."""
    daemon_threads = True

    def __init__(self, case):
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.requests, self.times, self.statuses, self.script = [], [], [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        case.addCleanup(self.server_close)
        case.addCleanup(self.shutdown)

    def handle_error(self, request, client_address):
        pass  # connections that were cut

    def begin(self, *script):
        self.requests, self.times, self.statuses = [], [], []
        self.script = list(script)

    def accepted(self):
        """The requests that were answered with 2xx: what has arrived."""
        return [request for request, status in zip(self.requests, self.statuses) if 200 <= status < 300]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        answer = self.server.script.pop(0) if self.server.script else Answer()
        length = int(self.headers["Content-Length"])
        if answer.cut_body_at is not None:
            self.rfile.read(min(answer.cut_body_at, length))
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(length)
        time.sleep(answer.delay_s)
        self.server.times.append(time.monotonic())
        self.server.requests.append(wire.Request("POST", self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.server.statuses.append(answer.status)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.words)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.words[:answer.cut_answer_at])
        if answer.cut_answer_at is not None:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Nginx:
    """One process with all LISTENERS; `ports` by their names. Certificates are in `folder`: ca.pem signed the server's
    and client.pem; other.pem is an authority that signed nothing here but stranger.pem."""

    def __init__(self, case):
        program = harness.peer("nginx/usr/sbin/nginx")
        self.folder = support.temporary_folder(case, mode=0o755)
        make_authority(self.folder, "ca")
        make_authority(self.folder, "other")
        make_certificate(self.folder, "server", "localhost")
        make_certificate(self.folder, "elsewhere", "elsewhere.test", names="DNS:elsewhere.test")
        make_certificate(self.folder, "client", "client")
        make_certificate(self.folder, "stranger", "stranger", authority="other")
        self.upstream = Upstream(case)
        self.ports = dict(zip(LISTENERS, harness.free_ports(len(LISTENERS))))
        listen = {name: f"listen 127.0.0.1:{port}{'' if name == 'plain' else ' ssl'};" for name, port in self.ports.items()}
        if has_ipv6():
            listen["tls"] += f" listen [::1]:{self.ports['tls']} ssl;"
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(folder=self.folder, upstream=self.upstream.port,
                                            user="user root;" if os.getuid() == 0 else "", **listen))
        self.program = harness.Program(case, [program, "-p", self.folder, "-c", "nginx.conf", "-e", "stderr"], self.folder,
                                       lambda: all(map(harness.answers, self.ports.values())))

    def statuses(self, listener):
        """What nginx has answered until now; 444 when it closed the connection instead."""
        lines = (line.split() for line in support.read_text(self.file("access.log")).splitlines())
        return [int(status) for port, status in lines if int(port) == self.ports[listener]]

    def be_rude(self, is_rude):
        """Whether listener `tls` closes connections as soon as it has read a request's headers."""
        path = self.file("rude")
        if is_rude:
            with open(path, "wb"):
                pass
        else:
            os.unlink(path)

    def file(self, name):
        return os.path.join(self.folder, name)

    def url(self, listener, host="localhost"):
        return f"{'http' if listener == 'plain' else 'https'}://{host}:{self.ports[listener]}"


def has_ipv6():
    try:
        return "0" * 31 + "1 " in support.read_text("/proc/net/if_inet6")
    except OSError:
        return False
