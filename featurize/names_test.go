package featurize_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// Names of folders: 你好 and 鱼 in GBK, and Étang composed and decomposed.
const (
	gbkHello, gbkFish    = "\xc4\xe3\xba\xc3", "\xd3\xe3"
	composed, decomposed = "Étang", "E\u0301tang"
)

// bytesOfClass undoes the spelling of the bytes in the name of a class.
func bytesOfClass(class string) string {
	return regexp.MustCompile(`\\x[0-9a-fA-F]{2}`).ReplaceAllStringFunc(class, func(e string) string {
		b, _ := strconv.ParseUint(e[2:], 16, 8)
		return string([]byte{byte(b)})
	})
}

// TestClassNames wants names of classes to be UTF-8, and to give the folder's name back.
func TestClassNames(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct{ folder, class string }{
		{"cat", "cat"}, {`a\b`, `a\b`}, {`\x4`, `\x4`}, {"日本", "日本"},
		{gbkHello, `\xc4\xe3\xba\xc3`}, {gbkFish, `\xd3\xe3`}, {"a\xffé", `a\xffé`},
		{`\xff`, `\x5cxff`}, {`\x5cxff`, `\x5cx5cxff`}, {`\\xc4\xe3`, `\\x5cxc4\x5cxe3`}, {"\\x4\xc4", `\x4\xc4`},
	} {
		got := featurize.ClassOfFolder(c.folder)
		if got != c.class || bytesOfClass(got) != c.folder {
			t.Errorf("%q is spelled %q, want %q; back %q", c.folder, got, c.class, bytesOfClass(got))
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q are spelled alike", other, c.folder)
		}
		seen[got] = c.folder
		if featurize.ClassOfLabel(got) != got {
			t.Errorf("the label %q is another class, %q", got, featurize.ClassOfLabel(got))
		}
	}
	if featurize.ClassOfFolder(decomposed) != composed || featurize.ClassOfLabel(decomposed) != composed {
		t.Error("a decomposed name is another class")
	}
}

// TestNamesOfSources wants the same classes from every kind of source.
func TestNamesOfSources(t *testing.T) {
	root, files := t.TempDir(), []string{gbkHello + "/1.png", gbkFish + "/2.png", composed + "/3.png", decomposed + "/4.png"}
	var members []member
	csv, jsonl := "path,label\n", ""
	for i, f := range files {
		writeImage(t, filepath.Join(root, f), i)
		data, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{f, string(data), tar.TypeReg})
		csv += f + "," + filepath.Dir(f) + "\n"
		jsonl += `{"path":"` + f + `","label":"` + filepath.Dir(f) + "\"}\n" // with bytes that are not UTF-8
	}
	escaped := `{"path":"\udcc4\udce3\udcba\udcc3/1.png","label":"\udcc4\udce3\udcba\udcc3"}` + "\n" + // as Python's json.dumps
		`{"path":"\udcd3\udce3/2.png","label":"\\xd3\\xe3"}` + "\n" + `{"path":"Étang/3.png","label":"Étang"}` + "\n" + `{"path":"E\u0301tang/4.png","label":"E\u0301tang"}`
	want := []string{`\xc4\xe3\xba\xc3`, `\xd3\xe3`, composed}
	var plain []byte
	for name, data := range map[string]string{
		"folder": root, "tar": writeFile(t, "a.tar", tarOf(t, members...)), "tar.gz": writeFile(t, "a.tgz", gzipped(tarOf(t, members...))),
		"zip": writeFile(t, "a.zip", zipOf(t, members...)), "csv": writeFile(t, "a.csv", []byte(csv)),
		"jsonl": writeFile(t, "a.jsonl", []byte(jsonl)), "surrogates": writeFile(t, "b.jsonl", []byte(escaped)),
	} {
		l, err := featurize.Source(t.Context(), data, featurize.SourceConfig{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		j := job(t, root, out, &sums{})
		j.Listing = l
		if s := mustRun(t, j); s.Samples != 4 || s.Skipped != 0 {
			t.Fatalf("%s: %+v", name, s)
		}
		if got := slices.Sorted(slices.Values(l.Classes)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: classes %q, want %q", name, got, want)
		}
		notes := strings.Join(l.Notes, ";")
		if !strings.Contains(notes, `1 class(es) are spelled in different Unicode forms`) || !strings.Contains(notes, `2 class(es) are not UTF-8`) && name != "surrogates" {
			t.Errorf("%s: notes %q", name, notes)
		}
		s, err := featurize.OpenSet(out)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Classes, l.Classes) || s.Records[0].Class != s.Classes[s.Records[0].Label] {
			t.Errorf("%s: the set has the classes %q", name, s.Classes)
		}
		s.Close()
		classes, err := os.ReadFile(filepath.Join(out, "classes.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if plain == nil {
			plain = classes
		}
		if !bytes.Equal(classes, plain) {
			t.Errorf("%s: classes.txt is %q, elsewhere %q", name, classes, plain)
		}
	}
}

// TestNamesOfFormerSets: a set whose classes.txt has the bytes of the folder, and a
// decomposed name, has the classes of a new one.
func TestNamesOfFormerSets(t *testing.T) {
	x := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", make([]byte, 8))
	y := npyFile("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", binary.LittleEndian.AppendUint64(make([]byte, 8), 1))
	manifest := `{"row":0,"path":"a/1.png","class":"E\u0301tang","label":0,"split":null}` + "\n" + `{"row":1,"path":"b/2.png","class":"\udcd3\udce3","label":1,"split":null}`
	s, err := openFiles(t, map[string][]byte{"features.npy": x, "labels.npy": y, "classes.txt": []byte(decomposed + "\n" + gbkFish + "\n"), "manifest.jsonl": []byte(manifest)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if want := []string{composed, `\xd3\xe3`}; !slices.Equal(s.Classes, want) || s.Records[0].Class != want[0] || s.Records[1].Class != want[1] {
		t.Errorf("classes %q, records %+v", s.Classes, s.Records)
	}
}

// TestFailureJSON wants the paths of unusable images back from JSON as they were.
func TestFailureJSON(t *testing.T) {
	in := []featurize.Failure{{Path: gbkHello + "/\".png", Reason: "\xff is wrong"}, {Path: "é.png", Reason: "x"}}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out []featurize.Failure
	if err := json.Unmarshal(text, &out); err != nil || !slices.Equal(in, out) || !strings.Contains(string(text), `\udcc4`) {
		t.Errorf("%s became %+v, %v", text, out, err)
	}
}

// zipEntry is an entry of a zip archive that some program wrote.
type zipEntry struct {
	name  string
	host  uint16 // 0: FAT, 3: Unix, 10: NTFS
	utf8  bool   // with the flag
	extra []byte
}

// foreignZip writes an archive of entries with a byte of data each.
func foreignZip(t testing.TB, entries ...zipEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, NonUTF8: !e.utf8, CreatorVersion: e.host << 8, Extra: e.extra}
		if e.utf8 {
			h.Flags = 0x800
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("x"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unicodePath is an Info-ZIP Unicode path extra field.
func unicodePath(plain, name string) []byte {
	field := append([]byte{1}, binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(plain)))...)
	field = append(field, name...)
	return append(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, 0x7075), uint16(len(field))), field...)
}

// TestZipNames wants names as unzip 6.0 reads them, and those in code page 437 as
// Python's zipfile does.
func TestZipNames(t *testing.T) {
	for _, c := range []struct {
		what string
		zipEntry
		path  string
		unzip bool // unzip is asked too
	}{
		{"backslashes", zipEntry{`train\cat\1.jpg`, 0, false, nil}, "train/cat/1.jpg", true},
		{"backslashes of another host", zipEntry{`cat\1.jpg`, 3, false, nil}, `cat\1.jpg`, true},
		{"backslashes of NTFS", zipEntry{`cat\1.jpg`, 10, false, nil}, `cat\1.jpg`, true},
		{"backslashes and slashes", zipEntry{`cats/a\1.jpg`, 0, false, nil}, `cats/a\1.jpg`, true},
		{"backslashes, UTF-8", zipEntry{`é\1.jpg`, 0, true, nil}, "é/1.jpg", false},
		{"UTF-8 with the flag", zipEntry{"Étang/1.jpg", 0, true, nil}, "Étang/1.jpg", false},
		{"UTF-8 without the flag", zipEntry{"Étang/1.jpg", 3, false, nil}, "Étang/1.jpg", true},
		{"code page 437", zipEntry{"\x90tang/1.jpg", 0, false, nil}, "Étang/1.jpg", false},
		{"bytes", zipEntry{gbkHello + "/1.jpg", 3, false, nil}, gbkHello + "/1.jpg", true},
		{"Unicode path", zipEntry{"??/1.jpg", 3, false, unicodePath("??/1.jpg", "日本/1.jpg")}, "日本/1.jpg", true},
		{"Unicode path after another field", zipEntry{"??/1.jpg", 3, false, append([]byte{9, 9, 1, 0, 0}, unicodePath("??/1.jpg", "日本/1.jpg")...)}, "日本/1.jpg", true},
		{"Unicode path of another name", zipEntry{"aa/1.jpg", 3, false, unicodePath("??/1.jpg", "日本/1.jpg")}, "aa/1.jpg", true},
		{"an extra field cut short", zipEntry{"aa/1.jpg", 3, false, []byte{0x75, 0x70, 99, 0, 1}}, "aa/1.jpg", false},
	} {
		file := writeFile(t, "a.zip", foreignZip(t, c.zipEntry, zipEntry{"other/2.jpg", 3, false, nil}))
		l, err := featurize.Source(t.Context(), file, featurize.SourceConfig{})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		var paths []string
		for _, s := range l.Samples {
			paths = append(paths, s.Path)
		}
		if !strings.Contains(c.path, "/") { // beside a class folder
			if notes := strings.Join(l.Notes, ";"); len(paths) != 1 || !strings.Contains(notes, strconv.Quote(c.path)) {
				t.Errorf("%s: paths %q, notes %q", c.what, paths, notes)
			}
		} else if !slices.Contains(paths, c.path) {
			t.Errorf("%s: paths %q, want %q", c.what, paths, c.path)
		}
		if turned := strings.Contains(c.name, `\`) && !strings.Contains(c.path, `\`); turned != strings.Contains(strings.Join(l.Notes, ";"), "backslashes in the place of slashes") {
			t.Errorf("%s: notes %q", c.what, l.Notes)
		}
		if unzip, err := exec.LookPath("unzip"); c.unzip && err == nil {
			dir := t.TempDir()
			cmd := exec.Command(unzip, "-q", file, "-d", dir)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			cmd.Run() // it warns of backslashes with an exit code
			if _, err := os.Stat(filepath.Join(dir, c.path)); err != nil {
				t.Errorf("%s: unzip does not make %q", c.what, c.path)
			}
		}
		l.Close()
	}

	// A whole data set with backslashes has its splits and labels.
	file := writeFile(t, "b.zip", foreignZip(t, zipEntry{`set\train\cat\1.jpg`, 0, false, nil}, zipEntry{`set\train\dog\2.jpg`, 0, false, nil}, zipEntry{`set\test\cat\3.jpg`, 0, false, nil}))
	l, err := featurize.Source(t.Context(), file, featurize.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if strings.Join(l.Classes, " ") != "cat dog" || len(l.Samples) != 3 || l.Samples[0].Split != "test" {
		t.Errorf("classes %q of %+v", l.Classes, l.Samples)
	}
}
