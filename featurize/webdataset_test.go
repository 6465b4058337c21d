package featurize_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// web makes the members of a WebDataset: for each line the name of a member and what it
// holds, an image where that is a number with a sharp in front.
func web(t *testing.T, lines ...string) (members []member) {
	t.Helper()
	dir := t.TempDir()
	for _, line := range lines {
		name, content, _ := strings.Cut(line, " ")
		if n, isImage := strings.CutPrefix(content, "#"); isImage {
			number, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			writeImage(t, filepath.Join(dir, "x.png"), number)
			data, err := os.ReadFile(filepath.Join(dir, "x.png"))
			if err != nil {
				t.Fatal(err)
			}
			content = string(data)
		}
		members = append(members, member{name, content, tar.TypeReg})
	}
	return members
}

// listed reads a source to its end and describes its samples: path, class, label and
// split.
func listed(l *featurize.Listing) (lines []string) {
	for _, s := range l.Samples {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(s.Path, " ", s.Class, " ", s.Label, " ", s.Split)))
	}
	return lines
}

// TestWebDataset wants the labels of members that share a name up to the first dot, as
// webdataset groups them, in plain archives and in streams, in the archive's order.
func TestWebDataset(t *testing.T) {
	for _, c := range []struct {
		name, key string
		members   []string
		want      []string // path, class, label, split
		note, err string
	}{
		{"integers", "", []string{"b.jpg #1", "b.cls 10", "a.cls 2\n", "a.png #2"}, []string{"b.jpg 10 0", "a.png 2 1"}, `sorted as text`, ""},
		{"indices", "", []string{"3.jpg #1", "3.cls 2", "1.jpg #2", "1.cls 0", "2.JPG #3", "2.cls  1 "}, []string{"3.jpg 2 2", "1.jpg 0 0", "2.JPG 1 1"}, "", ""},
		{"names", "", []string{"dir.v1/x.jpg #1", "dir.v1/x.cls cat", "dir.v1/y.jpg #2", "dir.v1/y.cls E\u0301tang"}, []string{"dir.v1/x.jpg cat 0", "dir.v1/y.jpg Étang 1"}, "", ""},
		{"splits", "", []string{"train/x.jpg #1", "train/x.cls a", "valid/x.jpg #2", "valid/x.cls b"}, []string{"train/x.jpg a 0 train", "valid/x.jpg b 1 val"}, "", ""},
		{"several images", "", []string{"x.jpg #1", "x.seg.png #2", "x.cls a", "y.jpg #3", "y.png #4", "y.cls b"}, []string{"x.jpg a 0", "y.jpg b 1"}, `2 further image(s) of a sample passed over, the first is "x.seg.png"`, ""},
		{"one without", "", []string{"x.jpg #1", "x.cls a", "y.jpg #2", "z.jpg #3", "z.cls "}, []string{"x.jpg a 0", "y.jpg  -1", "z.jpg  -1"}, `2 of 3 images have no .cls member and so no label, the first is "y.jpg"`, ""},
		{"captions", "", []string{"x.jpg #1", "x.txt a cat", "x.json {}", "y.jpg #2"}, []string{"x.jpg  -1", "y.jpg  -1"}, "this one has 1 .json and 1 .txt beside its images, which are not read as labels", ""},
		{"dots", "", []string{"a.b.jpg #1", "a.b.cls cat"}, []string{"a.b.jpg  -1"}, "this one has 1 .cls beside its images, which are not read as labels: an image and its label have one name up to the first dot", ""},
		{"folders", "", []string{"cat/x.jpg #1", "cat/x.json {}", "dog/y.jpg #2"}, []string{"cat/x.jpg cat 0", "dog/y.jpg dog 1"}, "", ""},
		{"json", "label", []string{`x.jpg #1`, `x.json {"label":1}`, `x.cls 7`, `y.jpg #2`, `y.json {"label":"0","other":[1]}`}, []string{"x.jpg 1 1", "y.jpg 0 0"}, "", ""},
		{"json in json", "meta.a", []string{`x.jpg #1`, `x.json {"meta":{"a":"cat"}}`, `y.jpg #2`, `y.json {"meta":{"b":1}}`, `z.jpg #3`, `z.json {"meta":3}`}, []string{"x.jpg cat 0", "y.jpg  -1", "z.jpg  -1"}, `2 of 3 images have no .json member with "meta.a"`, ""},
		{"another key", "class", []string{`x.jpg #1`, `x.json {"label":1,"id":2}`}, nil, "", `no .json member has a value for "class": the keys of the first are ["id" "label"]`},
		{"no json", "class", []string{`x.jpg #1`, `x.cls 1`}, nil, "", `no image has a .json member, in which "class" would be its label`},
		{"a list", "label", []string{`x.jpg #1`, `x.json {"label":[1]}`}, nil, "", `"x.json": the value of "label": found [1]`},
		{"broken json", "label", []string{`x.jpg #1`, `x.json {"label"`}, nil, "", `"x.json"`},
		{"empty", "", []string{`x.jpg #1`, `x.cls `}, nil, "", "all .cls members are empty"},
		{"line break", "", []string{"x.jpg #1", "x.cls a\nb"}, nil, "", "line break"},
	} {
		data := tarOf(t, web(t, c.members...)...)
		for _, file := range []string{writeFile(t, "x.tar", data), writeFile(t, "x.tar.gz", gzipped(data))} {
			l, err := featurize.Source(t.Context(), file, featurize.SourceConfig{LabelKey: c.key})
			if err == nil && l.Stream != nil {
				for s, failed := range l.Stream {
					if err = failed; err == nil {
						_, err = s.Read(nil)
					}
					if err != nil {
						break
					}
				}
			}
			if c.err != "" {
				if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s: error %v, want %q", c.name, err, c.err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			got, want := listed(l), slices.Clone(c.want)
			if c.name == "captions" || c.name == "folders" { // no WebDataset: in the order of paths
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s of %s: %q, want %q", c.name, filepath.Ext(file), got, want)
			}
			if notes := strings.Join(l.Notes, ";") + l.LabelNote(); !strings.Contains(notes, c.note) || c.note == "" && l.Stream == nil && notes != "" {
				t.Errorf("%s: notes %q, want %q", c.name, notes, c.note)
			}
			l.Close()
		}
	}
	if _, err := featurize.Source(t.Context(), dataset(t, 3), featurize.SourceConfig{LabelKey: "x"}); !errors.Is(err, featurize.ErrData) {
		t.Errorf("a folder with a key: %v", err)
	}
}

// TestArchives wants several archives to be one data set, in the order of their names,
// plain, compressed and mixed, and from a folder.
func TestArchives(t *testing.T) {
	parts := map[string][]string{
		"00": {"1.jpg #1", "1.cls 2", "0.jpg #2", "0.cls 0"}, "01": {"0.jpg #3", "0.cls 1"}, "02": {"7.jpg #4", "7.cls 2"},
	}
	root, images := t.TempDir(), dataset(t, 1)
	write := func(name string, data []byte) {
		t.Helper()
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, lines := range parts {
		data := tarOf(t, web(t, lines...)...)
		write("web/s-"+name+".tar", data)
		write("packed/s-"+name+".tar.gz", gzipped(data))
		write("split/"+map[string]string{"00": "train", "01": "val", "02": "test"}[name]+"/a.tar", data)
	}
	for name, part := range map[string]string{"birds-train-000": "00", "birds-train-001": "01", "birds-val": "02"} {
		write("named/"+name+".tar", tarOf(t, web(t, parts[part]...)...))
		write("alltrain/birds-train-"+part+".tar", tarOf(t, web(t, parts[part]...)...))
	}
	write("mixed/s-00.tar", tarOf(t, web(t, parts["00"]...)...))
	write("mixed/s-01.tar", gzipped(tarOf(t, web(t, parts["01"]...)...)))
	for i, lines := range [][]string{{"set/a/1.jpg #1", "set/b/2.jpg #2"}, {"set/a/3.jpg #3"}} {
		write(fmt.Sprintf("folders/%d.tar", i), tarOf(t, web(t, lines...)...))
	}
	write("names/cat.tar", tarOf(t, web(t, "1.jpg #1")...))
	all := []string{"s-00.tar/1.jpg 2 2", "s-00.tar/0.jpg 0 0", "s-01.tar/0.jpg 1 1", "s-02.tar/7.jpg 2 2"}
	var packed []string
	for _, line := range all {
		packed = append(packed, strings.Replace(line, ".tar/", ".tar.gz/", 1))
	}
	for _, c := range []struct {
		source string
		want   []string
	}{
		{"web/s-{00..02}.tar", all}, {"web/s-0{0,1,2}.tar", all}, {"{web/s-00.tar,web/s-01.tar,web/s-02.tar}", all}, {"web", all},
		{"web/s-{01..01}.tar", []string{"s-01.tar/0.jpg 1 0"}},
		{"packed/s-{00..02}.tar.gz", packed}, {"packed", packed},
		{"mixed/s-{00..01}.tar", []string{"s-00.tar/1.jpg 2 2", "s-00.tar/0.jpg 0 0", "s-01.tar/0.jpg 1 1"}},
		{"split", []string{"test/a.tar/7.jpg 2 2 test", "train/a.tar/1.jpg 2 2 train", "train/a.tar/0.jpg 0 0 train", "val/a.tar/0.jpg 1 1 val"}},
		{"named", []string{"birds-train-000.tar/1.jpg 2 2 train", "birds-train-000.tar/0.jpg 0 0 train", "birds-train-001.tar/0.jpg 1 1 train", "birds-val.tar/7.jpg 2 2 val"}},
		{"named/birds-{train-000,train-001,val}.tar", []string{"birds-train-000.tar/1.jpg 2 2 train", "birds-train-000.tar/0.jpg 0 0 train", "birds-train-001.tar/0.jpg 1 1 train", "birds-val.tar/7.jpg 2 2 val"}},
		{"alltrain/birds-train-{00..01}.tar", []string{"birds-train-00.tar/1.jpg 2 2", "birds-train-00.tar/0.jpg 0 0", "birds-train-01.tar/0.jpg 1 1"}},
		{"folders", []string{"0.tar/set/a/1.jpg a 0", "0.tar/set/b/2.jpg b 1", "1.tar/set/a/3.jpg a 0"}},
		{"names", []string{"cat.tar/1.jpg  -1"}},
	} {
		source := filepath.Join(root, c.source)
		if strings.HasPrefix(c.source, "{") {
			t.Chdir(root)
			source = c.source
		}
		l, err := featurize.Source(t.Context(), source, featurize.SourceConfig{})
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		out := t.TempDir()
		j := job(t, images, out, &sums{})
		j.Listing = l
		if s := mustRun(t, j); s.Samples != len(c.want) || s.Skipped != 0 {
			t.Errorf("%s: %+v", c.source, s)
		}
		if got := listed(l); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.source, got, c.want)
		}
		// The same again computes nothing; an archive that has changed is another listing.
		again, err := featurize.Source(t.Context(), source, featurize.SourceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		net := &sums{}
		j = job(t, images, out, net)
		j.Listing = again
		if s := mustRun(t, j); s.Status != "cached" || net.runs != 0 || again.Identity() != l.Identity() {
			t.Errorf("%s again: %+v", c.source, s)
		}
		if note := l.LabelNote(); (note != "") != (c.source == "web/s-{01..01}.tar") {
			t.Errorf("%s: %q", c.source, note)
		}
	}
	// The digest of the archives is part of the identity: a member that is no image.
	before := identity(t, filepath.Join(root, "web"))
	write("web/s-02.tar", tarOf(t, web(t, append(parts["02"], "7.txt more")...)...))
	if after := identity(t, filepath.Join(root, "web")); after == before {
		t.Error("a changed archive has the same identity")
	}
	for source, want := range map[string]string{
		"web/s-{00..09}.tar": "no such file", "web/s-{a..c}.tar": "expected two numbers", "web/s-{05..01}.tar": "expected two numbers", "web/{x}.tar": "expected a range", "web/{a,{b,c}}.tar": "nested",
		"web/{0..99}{0..99}{0..99}.tar": "more than", "web/{.tar": "not closed", "{web/s-00.tar,names}": "",
	} {
		_, err := featurize.Source(t.Context(), filepath.Join(root, source), featurize.SourceConfig{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", source, err, want)
		}
	}
	list := writeFile(t, "a.csv", []byte("path\nx.jpg\n"))
	if _, err := featurize.Source(t.Context(), strings.Replace(list, "a.csv", "{a,a}.csv", 1), featurize.SourceConfig{}); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "is no tar archive") {
		t.Errorf("lists in braces: %v", err)
	}
}

func identity(t *testing.T, source string) featurize.Identity {
	t.Helper()
	l, err := featurize.Source(t.Context(), source, featurize.SourceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Identity()
}

// TestWebStream reads a WebDataset on standard input.
func TestWebStream(t *testing.T) {
	l, err := featurize.Source(t.Context(), "-", featurize.SourceConfig{Stdin: bytes.NewReader(tarOf(t, web(t, `1.json {"y":1}`, "1.jpg #1", "0.jpg #2", `0.json {"y":0}`)...)), LabelKey: "y"})
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		if data, err := s.Read(nil); err != nil || len(data) == 0 {
			t.Errorf("%q: %d bytes, %v", s.Path, len(data), err)
		}
	}
	if got := listed(l); !slices.Equal(got, []string{"1.jpg 1 1", "0.jpg 0 0"}) {
		t.Errorf("%q", got)
	}
}
