package onnx

import "bytes"

// compressions are the first bytes of compressed files.
var compressions = []struct{ name, magic string }{
	{"gzip", "\x1f\x8b"}, {"zstd", "\x28\xb5\x2f\xfd"}, {"xz", "\xfd7zXZ\x00"}, {"bzip2", "BZh"}, {"lz4", "\x04\x22\x4d\x18"},
}

// Compression names the program that compressed a file, by the first bytes of it:
// "gzip", "zstd", "xz", "bzip2" or "lz4"; "" for any other file.
func Compression(head []byte) string {
	for _, c := range compressions {
		if bytes.HasPrefix(head, []byte(c.magic)) {
			return c.name
		}
	}
	return ""
}
