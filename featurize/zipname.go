package featurize

import (
	"archive/zip"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// hostFAT is the host system of zip entries that DOS or Windows programs made.
const hostFAT = 0

// zipName returns the name of an entry, with slashes. turned is true if the archive has
// backslashes in their place, as some Windows programs write: those of an entry of host
// FAT without any slash separate folders, as in Info-ZIP's unzip.
//
// A name is UTF-8 if a flag of the entry or an Info-ZIP Unicode extra field says so, or if
// it is valid UTF-8. Another name is in code page 437 if the host is FAT, else it is kept
// as it is.
func zipName(f *zip.File) (name string, turned bool) {
	const utf8Flag = 1 << 11
	name = f.Name
	dos := f.CreatorVersion>>8 == hostFAT
	switch unicode, ok := unicodeName(f); {
	case f.Flags&utf8Flag != 0:
	case ok:
		name = unicode
	case dos && !utf8.ValidString(name):
		if text, err := charmap.CodePage437.NewDecoder().String(name); err == nil {
			name = text
		}
	}
	if dos && strings.Contains(name, `\`) && !strings.Contains(name, "/") {
		return strings.ReplaceAll(name, `\`, "/"), true
	}
	return name, false
}

// unicodeName returns the name of an entry that its Info-ZIP Unicode path extra field
// gives: the id 0x7075, the size, version 1, the CRC-32 of the plain name, and the name in
// UTF-8. A field of another plain name is out of date and ignored.
func unicodeName(f *zip.File) (string, bool) {
	const pathField = 0x7075
	for extra := f.Extra; len(extra) >= 4; {
		id, size := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; size > len(extra) {
			break
		}
		field := extra[:size]
		extra = extra[size:]
		if id == pathField && size > 5 && field[0] == 1 && binary.LittleEndian.Uint32(field[1:]) == crc32.ChecksumIEEE([]byte(f.Name)) && utf8.Valid(field[5:]) {
			return string(field[5:]), true
		}
	}
	return "", false
}
