package featurize_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// tree makes files in a new folder. A name that ends in "->target" is that of a
// symbolic link.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, n := range names {
		n, target, link := strings.Cut(n, "->")
		file := filepath.Join(root, n)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		var err error
		if link {
			err = os.Symlink(target, file)
		} else {
			err = os.WriteFile(file, []byte(n), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFolder(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   []string
		want    []string // path class split
		classes string
		note    string
	}{
		{"class folders", []string{"b/2.jpg", "b/1.PNG", "a/x.jpeg", "a/notes.txt", ".git/c.jpg"},
			[]string{"a/x.jpeg a ", "b/1.PNG b ", "b/2.jpg b "}, "a b", ""},
		{"nested below a class", []string{"a/deep/er/1.jpg", "a/2.jpg"},
			[]string{"a/2.jpg a ", "a/deep/er/1.jpg a "}, "a", ""},
		{"one class of folders", []string{"set/a/1.jpg", "set/b/2.jpg"},
			[]string{"set/a/1.jpg set ", "set/b/2.jpg set "}, "set", "if the folders in it are the classes"},
		{"splits", []string{"train/a/1.jpg", "test/b/1.jpg", "validation/a/1.jpg"},
			[]string{"test/b/1.jpg b test", "train/a/1.jpg a train", "validation/a/1.jpg a val"}, "a b", ""},
		{"splits beside other folders", []string{"train/a/1.jpg", "annotations/x.jpg"},
			[]string{"train/a/1.jpg a train"}, "a", `"annotations/x.jpg"`},
		{"splits without classes", []string{"train/1.jpg", "test/2.jpg"},
			[]string{"test/2.jpg  test", "train/1.jpg  train"}, "", ""},
		{"classes called like splits", []string{"train/1.jpg", "car/2.jpg"},
			[]string{"car/2.jpg car ", "train/1.jpg train "}, "car train", ""},
		{"flat", []string{"2.jpg", "1.webp", "readme"},
			[]string{"1.webp  ", "2.jpg  "}, "", ""},
		{"loose images beside classes", []string{"a/1.jpg", "loose.jpg"},
			[]string{"a/1.jpg a "}, "a", "without a class"},
		{"names", []string{"ä ö/a b\nc.jpg", "ä ö/\xff.jpg"},
			[]string{"ä ö/a b\nc.jpg ä ö ", "ä ö/\xff.jpg ä ö "}, "ä ö", ""},
		{"link loop", []string{"a/1.jpg", "a/up->..", "a/self->."},
			[]string{"a/1.jpg a "}, "a", "was not followed"},
		{"links are followed", []string{"a/1.jpg", "b->a", "c/gone.jpg->nowhere"},
			[]string{"a/1.jpg a ", "b/1.jpg b ", "c/gone.jpg c "}, "a b c", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := featurize.Folder(t.Context(), tree(t, c.files...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range l.Samples {
				got = append(got, s.Path+" "+s.Class+" "+s.Split)
				if s.Class == "" && s.Label != -1 || s.Class != "" && l.Classes[s.Label] != s.Class {
					t.Errorf("%q has label %d of %q", s.Path, s.Label, l.Classes)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("samples %q, want %q", got, c.want)
			}
			if got := strings.Join(l.Classes, " "); got != c.classes {
				t.Errorf("classes %q, want %q", got, c.classes)
			}
			if notes := strings.Join(l.Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

func TestFolderRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		files      []string
	}{
		{"nothing", "no images", nil},
		{"no images", "found 1 other files", []string{"a/readme.txt"}},
		{"two of one name", `two images of one name in split "val": "val/a/1.jpg" and "valid/a/1.jpg"`, []string{"val/a/1.jpg", "valid/a/1.jpg"}},
		{"line break in a class", "line break", []string{"a\nb/1.jpg"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := featurize.Folder(t.Context(), tree(t, c.files...))
			if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want ErrData with %q", err, c.want)
			}
		})
	}
	file := filepath.Join(tree(t, "a.jpg"), "a.jpg")
	if _, err := featurize.Folder(t.Context(), file); !errors.Is(err, featurize.ErrData) {
		t.Errorf("a file as data: %v", err)
	}
	if _, err := featurize.Folder(t.Context(), file+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}
