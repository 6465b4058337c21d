package featurize_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// TestOrderClasses wants numpy's order of the integers (np.unique) for names that are
// exactly 0 to K-1, and Python's sorted for all others.
func TestOrderClasses(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"10 9 8 7 6 5 4 3 2 1 0 11", "0 1 2 3 4 5 6 7 8 9 10 11"},
		{"10 01 00 03 02 04 05 06 07 08 09", "00 01 02 03 04 05 06 07 08 09 10"},
		{"9.0 10.0 0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0", "0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0"},
		{"0", "0"},
		{"1 2 10 3 4 5 6 7 8 9", "1 10 2 3 4 5 6 7 8 9"},             // from 1
		{"0 2 10", "0 10 2"},                                         // with gaps
		{"0 1 2 3 4 5 6 7 8 9 10 01", "0 01 1 10 2 3 4 5 6 7 8 9"},   // 1 twice
		{"0 1 2 3 4 5 6 7 8 9 10 -1", "-1 0 1 10 2 3 4 5 6 7 8 9"},   // below 0
		{"0 1 2 3 4 5 6 7 8 9 10 cat", "0 1 10 2 3 4 5 6 7 8 9 cat"}, // not all are numbers
		{"0 1.5 1", "0 1 1.5"},
		{"99999999999999999999 0", "0 99999999999999999999"},
		{"b ä a Z", "Z a b ä"},
	} {
		names := strings.Fields(c.names)
		featurize.OrderClasses(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: in the order %s, want %s", c.names, got, c.want)
		}
	}
}

// TestIntegerLabels wants the integers of folders and of lists as labels.
func TestIntegerLabels(t *testing.T) {
	var files, csv, spaced []string
	jsonl := ""
	for i := range 12 {
		files = append(files, fmt.Sprintf("%d/x.jpg", i))
		csv = append(csv, fmt.Sprintf("%d/x.jpg,%d", i, i))
		spaced = append(spaced, fmt.Sprintf("%d/x.jpg, %d ", i, i))
		jsonl += fmt.Sprintf("{\"path\":\"%d/x.jpg\",\"label\":%d}\n", i, i)
	}
	root := tree(t, files...)
	for name, data := range map[string]string{
		"folder": root, "csv": writeFile(t, "l.csv", []byte("path,label\n"+strings.Join(csv, "\n"))), "spaces": writeFile(t, "s.csv", []byte("path, label\n"+strings.Join(spaced, "\n"))), "jsonl": writeFile(t, "l.jsonl", []byte(jsonl)),
	} {
		l, err := featurize.Source(t.Context(), data, featurize.SourceConfig{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range l.Samples {
			if want, _ := strconv.Atoi(s.Class); s.Label != want {
				t.Errorf("%s: class %s has the label %d", name, s.Class, s.Label)
			}
		}
		if len(l.Samples) != 12 || len(l.Notes) > 0 || l.LabelNote() != "" {
			t.Errorf("%s: %d samples, notes %q, %q", name, len(l.Samples), l.Notes, l.LabelNote())
		}
	}
}

// TestNumericNamesAreTold wants a note where labels are not the numbers that classes are
// called.
func TestNumericNamesAreTold(t *testing.T) {
	for _, c := range []struct{ files, note string }{
		{"0/x.jpg 1/x.jpg 2/x.jpg 10/x.jpg 3/x.jpg xx/x.jpg", `the names of 5 of the 6 classes are numbers, and the others are not, so they are sorted as text, and a label is a place in that order: "0" is 0, "1" is 1, "10" is 2, "2" is 3, ...`},
		{"0/x.jpg 1/x.jpg other/x.jpg", ""},  // every number is at its place
		{"10/x.jpg cat/x.jpg dog/x.jpg", ""}, // a name like another
		{"1/x.jpg 2/x.jpg 10/x.jpg", `the names of the 3 classes are numbers, but not exactly 0 to 2, so they are sorted as text, and a label is a place in that order: "1" is 0, "10" is 1, "2" is 2`},
		{"-1/x.jpg 0/x.jpg 1/x.jpg", `"-1" is 0`},
		{"0.5/x.jpg 1.5/x.jpg", `"0.5" is 0`},
		{"a/x.jpg 1/x.jpg", ""},
		{"00/x.jpg 01/x.jpg", ""},
	} {
		l, err := featurize.Folder(t.Context(), tree(t, strings.Fields(c.files)...))
		if err != nil {
			t.Fatal(err)
		}
		if note := l.LabelNote(); !strings.Contains(note, c.note) || (c.note == "") != (note == "") || len(l.Notes) > 0 {
			t.Errorf("%s: note %q, want %q; notes %q", c.files, note, c.note, l.Notes)
		}
	}
}

// numbered makes a folder of classes 0 to 11.
func numbered(t *testing.T) string {
	root := t.TempDir()
	for i := range 24 {
		writeImage(t, filepath.Join(root, strconv.Itoa(i%12), fmt.Sprintf("%02d.png", i)), i)
	}
	return root
}

// byText gives a listing the order of classes that former versions gave it.
func byText(j *featurize.Job) {
	l := j.Listing
	slices.Sort(l.Classes)
	for i := range l.Samples {
		l.Samples[i].Label = slices.Index(l.Classes, l.Samples[i].Class)
	}
}

// TestOrderOfFormerVersions checks that a set whose classes are sorted as text can be
// opened as it is, is relabelled without computing anything, and that shards of both
// orders can be merged.
func TestOrderOfFormerVersions(t *testing.T) {
	data, want, old := numbered(t), t.TempDir(), t.TempDir()
	mustRun(t, job(t, data, want, &sums{}))
	j := job(t, data, old, &sums{})
	byText(j)
	mustRun(t, j)
	s, err := featurize.OpenSet(old)
	if err != nil || s.Classes[2] != "10" {
		t.Fatalf("%v", err)
	}
	for _, r := range s.Records {
		if s.Classes[r.Label] != r.Class {
			t.Errorf("%q is %q, its label %d", r.Path, r.Class, r.Label)
		}
	}
	s.Close()

	net := &sums{}
	if s := mustRun(t, job(t, data, old, net)); s.Status != "done" || s.Reused != 24 || net.runs != 0 {
		t.Errorf("relabelled: %+v after %d runs", s, net.runs)
	}
	sameSet(t, set(t, old), set(t, want))
	if s := mustRun(t, job(t, data, old, net)); s.Status != "cached" {
		t.Errorf("again: %+v", s)
	}

	parts := shards(t, data, 3, func(i int, j *featurize.Job) {
		if i < 2 {
			byText(j)
		}
	})
	merged := t.TempDir()
	if _, err := merge(t, merged, parts); err != nil {
		t.Fatal(err)
	}
	sameSet(t, set(t, merged), set(t, want))
	if classes, err := os.ReadFile(filepath.Join(merged, "classes.txt")); err != nil || string(classes) != "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n" {
		t.Errorf("classes %q, %v", classes, err)
	}
}
