// JSON, regular expressions, sorting with a callback, and what node does in C++ (hashes, compression).
const crypto = require('crypto'), zlib = require('zlib');
const end = Date.now() + 1000 * process.argv[2];
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);

while (Date.now() < end) {
	fib(20);
	const text = JSON.stringify(Array.from({length: 2000}, (_, i) => ({i, s: 'x' + i})));
	JSON.parse(text.replace(/x(\d+)/g, 'y$1'));
	Array.from({length: 3000}, (_, i) => (i * 7919) % 3001).sort((a, b) => a - b);
	crypto.createHash('sha256').update(text).digest('hex');
	zlib.deflateSync(text);
}
