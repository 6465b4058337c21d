package pixels

import (
	"bytes"
	"errors"
)

// FormatBytes is the number of bytes at the start of a file that Format looks at.
const FormatBytes = 512

// ErrNotSupported is the error, wrapped, for an image that is in order but of a
// kind that the decoder does not read: another format, or a variant of one.
var ErrNotSupported = errors.New("not supported")

// Format names the format of an image file by its first FormatBytes bytes, or
// fewer if the file is shorter: "" if they are not those of a known image format.
// Decodable says whether Decoder reads the format; variants of it may still be
// ErrNotSupported. The bytes decide alone: a file whose beginning is right and
// whose rest is damaged has a format.
func Format(head []byte) (name string, decodable bool) {
	if len(head) > FormatBytes {
		head = head[:FormatBytes]
	}
	for _, s := range signatures {
		if hasBytes(head, s.at, s.bytes) && (s.more == nil || s.more(head)) {
			return s.name, s.decodable
		}
	}
	if hasBytes(head, 4, "ftyp") {
		return isoBrand(head), false
	}
	return "", false
}

// signature is how the files of a format begin: bytes at an offset and, where
// those are short, a look at what follows.
type signature struct {
	name      string
	at        int
	bytes     string
	decodable bool
	more      func(head []byte) bool
}

var signatures = []signature{ // tried in this order
	{name: "jpeg", bytes: "\xff\xd8\xff", decodable: true},
	{name: "png", bytes: "\x89PNG\r\n\x1a\n", decodable: true},
	{name: "gif", bytes: "GIF87a", decodable: true},
	{name: "gif", bytes: "GIF89a", decodable: true},
	{name: "webp", bytes: "WEBP", at: 8, decodable: true, more: func(b []byte) bool { return hasBytes(b, 0, "RIFF") }},
	{name: "cr2", bytes: "CR\x02\x00", at: 8, more: isTIFF},
	{name: "tiff", bytes: "II", decodable: true, more: isTIFF},
	{name: "tiff", bytes: "MM", decodable: true, more: isTIFF},
	{name: "bmp", bytes: "BM", decodable: true, more: isBMP},
	{name: "jpeg 2000", bytes: "\x00\x00\x00\x0cjP  \r\n\x87\n"},
	{name: "jpeg 2000", bytes: "\xff\x4f\xff\x51"},
	{name: "jpeg xl", bytes: "\x00\x00\x00\x0cJXL \r\n\x87\n"},
	{name: "jpeg xl", bytes: "\xff\x0a"},
	{name: "jpeg xr", bytes: "II\xbc\x01"},
	{name: "psd", bytes: "8BPS\x00"},
	{name: "xcf", bytes: "gimp xcf"},
	{name: "dds", bytes: "DDS \x7c\x00\x00\x00"},
	{name: "exr", bytes: "\x76\x2f\x31\x01"},
	{name: "hdr", bytes: "#?RADIANCE"},
	{name: "hdr", bytes: "#?RGBE"},
	{name: "qoi", bytes: "qoif"},
	{name: "flif", bytes: "FLIF"},
	{name: "farbfeld", bytes: "farbfeld"},
	{name: "icns", bytes: "icns\x00"},
	{name: "mng", bytes: "\x8aMNG\r\n\x1a\n"},
	{name: "jng", bytes: "\x8bJNG\r\n\x1a\n"},
	{name: "fits", bytes: "SIMPLE  ="},
	{name: "dicom", bytes: "DICM", at: 128},
	{name: "ras", bytes: "\x59\xa6\x6a\x95"},
	{name: "raf", bytes: "FUJIFILMCCD-RAW"},
	{name: "orf", bytes: "IIRO"},
	{name: "rw2", bytes: "IIU\x00"},
	{name: "djvu", bytes: "AT&TFORM"},
	{name: "eps", bytes: "%!PS-Adobe"},
	{name: "xpm", bytes: "/* XPM */"},
	{name: "ico", bytes: "\x00\x00\x01\x00", more: isIcon},
	{name: "cur", bytes: "\x00\x00\x02\x00", more: isIcon},
	{name: "sgi", bytes: "\x01\xda", more: func(b []byte) bool {
		return len(b) > 11 && b[2] < 2 && (b[3] == 1 || b[3] == 2) && b[4] == 0 && b[5] > 0 && b[5] < 4
	}},
	{name: "pcx", bytes: "\x0a", more: func(b []byte) bool {
		return len(b) > 64 && b[1] < 6 && b[2] < 2 && (b[3] == 1 || b[3] == 2 || b[3] == 4 || b[3] == 8) && b[64] == 0
	}},
	{name: "pbm", bytes: "P1", decodable: true, more: isNetpbm},
	{name: "pgm", bytes: "P2", decodable: true, more: isNetpbm},
	{name: "ppm", bytes: "P3", decodable: true, more: isNetpbm},
	{name: "pbm", bytes: "P4", decodable: true, more: isNetpbm},
	{name: "pgm", bytes: "P5", decodable: true, more: isNetpbm},
	{name: "ppm", bytes: "P6", decodable: true, more: isNetpbm},
	{name: "pam", bytes: "P7\n"},
	{name: "pfm", bytes: "Pf\n"},
	{name: "pfm", bytes: "PF\n"},
	{name: "svg", more: func(b []byte) bool {
		b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
		return bytes.HasPrefix(b, []byte("<svg")) || bytes.HasPrefix(b, []byte("<?xml")) && bytes.Contains(b, []byte("<svg"))
	}},
}

func hasBytes(b []byte, at int, s string) bool {
	return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s
}

// isTIFF knows TIFF and BigTIFF in both byte orders, and the two headers of mixed
// byte order that Pillow accepts.
func isTIFF(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch string(b[:4]) {
	case "II*\x00", "MM\x00*", "II\x00*", "MM*\x00", "II+\x00", "MM\x00+":
		return true
	}
	return false
}

// isBMP tells BMP from a text that begins with BM, by the size of its header.
func isBMP(b []byte) bool {
	if len(b) < 18 {
		return len(b) == 2 || len(b) > 5 && bytes.IndexByte(b, 0) >= 0 // cut short
	}
	return b[14] >= 12 && b[15] == 0 && b[16] == 0 && b[17] == 0
}

// isIcon looks at the first entry of an icon's directory, whose reserved byte is 0.
func isIcon(b []byte) bool {
	return len(b) > 21 && b[5] == 0 && b[4] > 0 && b[9] == 0 && b[20] == 0 && b[21] == 0
}

// isNetpbm tells P1 to P6 from other text: white space or a comment follows, then
// a number.
func isNetpbm(b []byte) bool {
	if len(b) < 3 || !isSpace(b[2]) {
		return false
	}
	p := netpbm{data: b, at: 2}
	token, _ := p.token()
	return len(token) == 0 && p.at >= len(b) || isNumber(token)
}

// isoBrand names the format of a file in ISO's container by its brands: "" for a
// film.
func isoBrand(b []byte) string {
	known := map[string]string{
		"avif": "avif", "avis": "avif", "heic": "heic", "heix": "heic", "hevc": "heic", "hevx": "heic",
		"heim": "heic", "heis": "heic", "mif1": "heif", "msf1": "heif", "crx ": "cr3", "jxl ": "jpeg xl", "jp2 ": "jpeg 2000",
	}
	size := min(len(b), int(b[2])<<8+int(b[3]))
	name := ""
	for at := 8; at+4 <= max(size, 12) && at+4 <= len(b); at += 4 {
		if n := known[string(b[at:at+4])]; n != "" && (name == "" || name == "heif") && at != 12 { // at 12 stands a version
			name = n
		}
	}
	return name
}
