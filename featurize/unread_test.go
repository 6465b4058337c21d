package featurize_test

import (
	"archive/tar"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// heic is the beginning of a photograph as telephones make it.
const heic = "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"

// TestUnread wants every file that is neither an image that can be read nor bookkeeping
// to be counted by its content, in folders, archives and streams, and images to be found
// whatever their names are.
func TestUnread(t *testing.T) {
	data := t.TempDir()
	writeImage(t, filepath.Join(data, "x.png"), 1)
	png, err := os.ReadFile(filepath.Join(data, "x.png"))
	if err != nil {
		t.Fatal(err)
	}
	tiff := "II*\x00\x08\x00\x00\x00"
	files := map[string]string{
		// images
		"cat/1.png": string(png), "cat/no suffix": string(png), "cat/photo.JPG_large": "\xff\xd8\xff\xe0 damaged", "dog/a.dat": string(png),
		"dog/grey": "P5 1 1 255\n\x80", "dog/road.ppm": "P6 1 1 255\n\x80\x80\x80", "dog/b.bin": tiff,
		// no images
		"cat/a.heic": heic, "cat/b.HEIC": heic, "ant/c": heic, "ant/d.heif": heic, "bee/e.avif": "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", "bee/f.jxl": "\xff\x0a1234",
		"dog/film.mp4": "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00", "dog/clip.mkv": "\x1a\x45\xdf\xa3 1234", "dog/raw.NEF": tiff, "dog/raw.cr2": "II*\x00\x10\x00\x00\x00CR\x02\x00",
		"dog/draw.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>", "dog/doc.pdf": "%PDF-1.4\n\x80", "dog/more.zip": "PK\x03\x04....", "dog/x.npy": "\x93NUMPY\x01\x00",
		"dog/old.TGA": "\x00\x00\x02\x00", "dog/strange": "\x00\x01\x02\x03", "dog/nothing": "", "dog/nothing.jxr": "",
		// bookkeeping
		"README": "Animals.\n", "LICENSE": "MIT", "cat/labels.csv": "a,b", "cat/Thumbs.db": "\xd0\xcf\x11\xe0", "cat/desktop.ini": "[x]", "cat/notes.tex": "é in text",
		".DS_Store": "\x00\x00\x00\x01Bud1", "cat/.hidden.heic": heic, "__MACOSX/cat/x.heic": heic, "list.pkl.txt": "x", "boxes.json": "{}", "dog/x.xml": "<?xml version='1.0'?><a/>",
	}
	want := map[string]int{
		"HEIC": 4, "AVIF": 1, "JPEG XL": 1, "video": 2, "camera raw": 1, "CR2": 1, "SVG": 1, "TGA": 1, "PDF": 1, "archive": 1, ".npy": 1, "other": 1, "empty": 2,
	}
	images := []string{"cat/1.png", "cat/no suffix", "cat/photo.JPG_large", "dog/a.dat", "dog/b.bin", "dog/grey", "dog/road.ppm"}
	root := t.TempDir()
	var members []member
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(files[name]), 0o666); err != nil {
			t.Fatal(err)
		}
		members = append(members, member{name, files[name], tar.TypeReg})
	}
	for kind, source := range map[string]string{
		"folder": root, "tar": writeFile(t, "a.tar", tarOf(t, members...)), "stream": writeFile(t, "a.tgz", gzipped(tarOf(t, members...))), "zip": writeFile(t, "a.zip", zipOf(t, members...)),
	} {
		l, err := featurize.Source(t.Context(), source, featurize.SourceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got := map[string]string{}
		for s, err := range l.All() {
			if err != nil {
				t.Fatal(err)
			}
			content, err := s.Read(nil)
			if err != nil {
				t.Fatal(err)
			}
			got[s.Path] = string(content)
		}
		for _, name := range images {
			if got[name] != files[name] {
				t.Errorf("%s: %q holds %q, want %q", kind, name, got[name], files[name])
			}
		}
		if len(got) != len(images) {
			t.Errorf("%s: images %q, want %q", kind, slices.Sorted(maps.Keys(got)), images)
		}
		if !maps.Equal(l.Unread, want) {
			t.Errorf("%s: unread %v, want %v", kind, l.Unread, want)
		}
		notes := strings.Join(l.Notes, "\n")
		for _, note := range []string{
			`4 HEIC files were not read: convert them to PNG or JPEG (the first is "ant/c")`, `1 AVIF file was not read: convert it to PNG or JPEG ("bee/e.avif")`,
			`2 video files were not read: take frames of them`, `1 archive was not read: unpack it ("dog/more.zip")`, `1 .npy file was not read: it is no image`,
			`1 file without a suffix was not read: it is of no known kind ("dog/strange")`, `2 empty files were not read: they are no images`,
			`the folder "ant" is left out, as no file in it is read (2 HEIC)`, `the folder "bee" is left out, as no file in it is read (1 AVIF, 1 JPEG XL)`,
		} {
			if !strings.Contains(notes, note) {
				t.Errorf("%s: no note %q in\n%s", kind, note, notes)
			}
		}
		if strings.Join(l.Classes, " ") != "cat dog" || strings.Contains(notes, `"dog" is left out`) {
			t.Errorf("%s: classes %q", kind, l.Classes)
		}
	}
}

// TestLostFolders wants the class folders to be told of which nothing is read, also in
// splits and below the top folder of an archive.
func TestLostFolders(t *testing.T) {
	of := func(names ...string) (m []member) {
		for _, n := range names {
			data := "x"
			if strings.HasSuffix(n, ".heic") {
				data = heic
			}
			m = append(m, member{n, data, tar.TypeReg})
		}
		return m
	}
	for _, c := range []struct {
		name    string
		members []member
		classes string
		note    string
	}{
		{"a split", of("train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "test/b/4.heic"), "a b", `the folder "test/b" is left out`},
		{"a whole split", of("train/a/1.jpg", "train/b/2.jpg", "test/a/3.heic"), "a b", `the folder "test/a" is left out`},
		{"below a top folder", of("set/a/1.jpg", "set/b/2.heic", "set/c/3.jpg"), "a c", `the folder "b" is left out`},
		{"the only other class", of("a/1.jpg", "b/2.heic"), "a", `the folder "b" is left out`},
		{"some of a class", of("a/1.jpg", "a/2.heic", "b/3.jpg"), "a b", ""},
		{"documents beside", of("set/a/1.jpg", "set/b/2.jpg", "papers/x.txt"), "a b", ""},
	} {
		l, err := drain(t, writeFile(t, "a.tar", tarOf(t, c.members...)))
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(l.Notes, "\n")
		if got := strings.Join(l.Classes, " "); got != c.classes || !strings.Contains(notes, c.note) || c.note == "" && strings.Contains(notes, "left out") {
			t.Errorf("%s: classes %q, notes %q", c.name, got, notes)
		}
	}
	if _, err := drain(t, writeFile(t, "a.tar", tarOf(t, of("a/1.heic", "b/2.heic")...))); err == nil || !strings.Contains(err.Error(), "found 2 other files, which cannot be read: 2 HEIC") {
		t.Errorf("nothing but HEIC: %v", err)
	}
}

// TestLostClasses wants the classes none of whose images decode in the summary, and what
// is unread in run.json.
func TestLostClasses(t *testing.T) {
	data, out := dataset(t, 6), t.TempDir()
	for _, name := range []string{"lost/1.jpg", "lost/2.png", "a/x.png"} {
		file := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(heic), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "a", "y.heic"), []byte(heic), 0o666); err != nil {
		t.Fatal(err)
	}
	s := mustRun(t, job(t, data, out, &sums{}))
	if !slices.Equal(s.Lost, []string{"lost"}) || s.Skipped != 3 || !strings.Contains(s.Failed[0].Reason, "HEIC") {
		t.Errorf("%+v", s)
	}
	p, err := featurize.ReadProvenance(out)
	if err != nil || !maps.Equal(p.Unread, map[string]int{"HEIC": 1}) || !slices.Equal(p.Lost, []string{"lost"}) {
		t.Errorf("unread %v, lost %q, %v", p.Unread, p.Lost, err)
	}
}
