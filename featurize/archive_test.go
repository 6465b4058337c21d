package featurize_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// TestStreamOrder checks that the order of a stream is kept, that an interrupted stream
// is resumed, and that an additional image is found.
func TestStreamOrder(t *testing.T) {
	data := dataset(t, 11)
	m := members(t, data, "")
	slices.Reverse(m)
	packed := gzipped(tarOf(t, m...))
	run := func(out string, packed []byte) (*featurize.Summary, *featurize.Listing, error) {
		l, err := featurize.Source(t.Context(), "-", featurize.SourceConfig{Stdin: bytes.NewReader(packed)})
		if err != nil {
			t.Fatal(err)
		}
		j := job(t, data, out, &sums{})
		j.Listing = l
		s, err := j.Run(t.Context())
		return s, l, err
	}
	whole, cut := t.TempDir(), t.TempDir()
	_, l, err := run(whole, packed)
	if err != nil || l.Samples[0].Path != m[0].name || l.Samples[10].Path != m[10].name {
		t.Fatalf("order %v, %v", l.Samples, err)
	}
	if _, _, err := run(cut, packed[:len(packed)*3/4]); !errors.Is(err, featurize.ErrData) {
		t.Fatalf("a stream that was cut off: %v", err)
	}
	s, _, err := run(cut, packed)
	if err != nil || s.Reused == 0 || s.New == 0 {
		t.Fatalf("taken up: %+v, %v", s, err)
	}
	sameSet(t, set(t, cut), set(t, whole))

	s, _, err = run(cut, gzipped(tarOf(t, append([]member{{"a/new.png", m[3].data, tar.TypeReg}}, m...)...)))
	if err != nil || s.Reused != 11 || s.New != 1 {
		t.Fatalf("one more: %+v, %v", s, err)
	}
}

func TestHostileArchives(t *testing.T) {
	const reg = tar.TypeReg
	for _, c := range []struct {
		name    string
		members []member
		want    string
		zipToo  bool
	}{
		{"parent", []member{{"a/1.jpg", "x", reg}, {"a/../../1.jpg", "x", reg}}, "leads out", true},
		{"backslash parent", []member{{`a\..\..\1.jpg`, "x", reg}}, "leads out", true},
		{"absolute", []member{{"/etc/1.jpg", "x", reg}}, "absolute", true},
		{"drive", []member{{`C:\1.jpg`, "x", reg}}, "absolute", true},
		{"duplicate", []member{{"a/1.jpg", "x", reg}, {"./a/1.jpg", "y", reg}}, `two images of one name, "a/1.jpg"`, true},
		{"device", []member{{"a/1.jpg", "x", reg}, {"null", "", tar.TypeChar}}, `"null" is a device`, true},
		{"fifo", []member{{"a/1.jpg", "", tar.TypeFifo}}, "a pipe", false},
		{"no images", []member{{"a/1.txt", "x", reg}}, "found 1 other files", true},
		{"line break in a class", []member{{"a\nb/1.jpg", "x", reg}, {"c/1.jpg", "x", reg}}, "line break", true},
		{"one name in a split", []member{{"val/a/1.jpg", "x", reg}, {"valid/a/1.jpg", "x", reg}}, "two images of one name in split", true},
	} {
		files := map[string][]byte{"x.tar": tarOf(t, c.members...), "x.tar.gz": gzipped(tarOf(t, c.members...))}
		if c.zipToo {
			files["x.zip"] = zipOf(t, c.members...)
		}
		for file, data := range files {
			t.Run(c.name+" "+file, func(t *testing.T) {
				_, err := drain(t, writeFile(t, file, data))
				if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
			})
		}
	}
}

func TestLinksInArchives(t *testing.T) {
	m := []member{{"a/1.jpg", "x", tar.TypeReg}, {"a/2.jpg", "1.jpg", tar.TypeSymlink}}
	for file, data := range map[string][]byte{"x.tar": tarOf(t, m...), "x.zip": zipOf(t, m...), "x.tgz": gzipped(tarOf(t, m...))} {
		l, err := drain(t, writeFile(t, file, data))
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Samples) != 1 || !strings.Contains(strings.Join(l.Notes, ";"), `1 link(s)`) {
			t.Errorf("%s: %d samples, notes %q", file, len(l.Samples), l.Notes)
		}
	}
}

func TestArchiveCutShort(t *testing.T) {
	whole := tarOf(t, member{"a/1.jpg", strings.Repeat("x", 600), tar.TypeReg}, member{"a/2.jpg", "y", tar.TypeReg})
	l, err := drain(t, writeFile(t, "x.tar", whole[:len(whole)-1024]))
	if err != nil || !strings.Contains(strings.Join(l.Notes, ";"), "no end mark") {
		t.Errorf("without its end: %v, %v", l, err)
	}
	if l, err = drain(t, writeFile(t, "x.tar", whole)); err != nil || len(l.Notes) > 0 {
		t.Errorf("whole: %v, %v", l.Notes, err)
	}
	for _, n := range []int{700, 1100, len(whole) - 1024 - 512} {
		if _, err := drain(t, writeFile(t, "x.tar", whole[:n])); !errors.Is(err, featurize.ErrData) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := drain(t, writeFile(t, "x.zip", zipOf(t, member{"a/1.jpg", "x", tar.TypeReg})[:60])); !errors.Is(err, featurize.ErrData) {
		t.Errorf("zip: %v", err)
	}
}
