package featurize_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

func TestList(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []string // path class label split group
		err              string
	}{
		{"csv", "l.csv", "path,split,group,label\nb.jpg,valid,g1,cat\na.jpg,train,,ant\n", []string{"b.jpg cat 1 val g1", "a.jpg ant 0 train "}, ""},
		{"quoted", "l.csv", "Path, label\n\"a,\n\"\"1\"\".jpg\",x\n", []string{"a,\n\"1\".jpg x 0  "}, ""},
		{"path alone", "l.csv", "file_name\n/abs/1.jpg\n../2.jpg\n", []string{"/abs/1.jpg  -1  ", "../2.jpg  -1  "}, ""},
		{"jsonl", "l.jsonl", "{\"path\":\"1.jpg\",\"label\":10,\"group\":7}\n\n{\"file_name\":\"2.jpg\",\"label\":9,\"split\":null}\n", []string{"1.jpg 10 0  7", "2.jpg 9 1  "}, ""},
		{"no header", "l.csv", "1.jpg,cat\n", nil, "no column path or file_name"},
		{"twice", "l.csv", "path\n1.jpg\n1.jpg\n", nil, `line 3: "1.jpg" is in line 2 too`},
		{"split", "l.csv", "path,split\n1.jpg,dev\n", nil, `line 2: split "dev"`},
		{"ragged", "l.csv", "path,split\n1.jpg\n", nil, "wrong number of fields"},
		{"column twice", "l.csv", "path,label,label\n1.jpg,a,b\n", nil, `two columns "label"`},
		{"not JSON", "l.jsonl", "{\"path\":\"1.jpg\"}\n[\n", nil, "line 2"},
		{"label of labels", "l.jsonl", "{\"path\":\"1.jpg\",\"label\":[1]}\n", nil, "expected a string"},
		{"no path", "l.jsonl", "{\"label\":\"a\"}\n", nil, "line 1: the path is empty"},
		{"empty", "l.csv", "", nil, "names no images"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := featurize.Source(t.Context(), writeFile(t, c.file, []byte(c.text)), featurize.SourceConfig{})
			if c.err != "" {
				if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range l.Samples {
				got = append(got, strings.Join([]string{s.Path, s.Class, strconv.Itoa(s.Label), s.Split, s.Group}, " "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("samples %q, want %q", got, c.want)
			}
		})
	}
}

// TestRelabelled checks that changing the labels of a list changes those of the set,
// and computes nothing.
func TestRelabelled(t *testing.T) {
	data, out := dataset(t, 3), t.TempDir()
	for i, label := range []string{"x", "y"} {
		list := filepath.Join(data, "l.csv")
		os.WriteFile(list, []byte("path,label\na/100.png,"+label+"\nb/101.png,z\n"), 0o666)
		l, err := featurize.Source(t.Context(), list, featurize.SourceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		net := &sums{}
		j := job(t, data, out, net)
		j.Listing = l
		s := mustRun(t, j)
		if got := set(t, out)["classes.txt"]; got != label+"\nz\n" || net.runs != 1-i || s.New != 2-2*i {
			t.Errorf("classes %q after %d runs, %+v", got, net.runs, s)
		}
	}
}
