// An HTTP/2 server with TLS: node http2_server.js CERTIFICATE KEY. Writes its port.
const fs = require('fs');
const http2 = require('http2');

const server = http2.createSecureServer({
  cert: fs.readFileSync(process.argv[2]), key: fs.readFileSync(process.argv[3]), allowHTTP1: false });

server.on('stream', (stream, headers) => {
  let size = 0;
  stream.on('error', () => {});
  stream.on('data', (bytes) => { size += bytes.length; });
  stream.on('end', () => {
    switch (headers[':path']) {
    case '/busy':
      stream.respond({ ':status': 503, 'retry-after': '5' });
      return stream.end('busy');
    case '/reset':
      return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    case '/stall':
      return;
    case '/goaway':
      stream.respond({ ':status': 200 });
      stream.end('last');
      return stream.session.goaway();
    default:
      stream.respond({ ':status': 200 });
      return stream.end(`2.0 ${size}`);
    }
  });
});
server.listen(0, '127.0.0.1', () => { console.log(server.address().port); });
