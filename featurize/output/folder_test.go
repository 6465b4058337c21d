package output_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/featurize/output"
)

var layout = output.Layout{
	Kind: "count", Files: []string{"a.txt", "sub/b.txt", "done.txt"}, Parts: []string{"part-*"},
	Working: []string{"going.txt"}, Beside: []string{"beside-*", "a.*"},
}

type settings struct {
	Model string   `json:"model"`
	Rates []int    `json:"rates"`
	Inner innerSet `json:"optimizer"`
}

type innerSet struct {
	Name     string  `json:"name"`
	Momentum float64 `json:"momentum,omitempty"`
}

var sgd = settings{Model: "m", Rates: []int{1, 2}, Inner: innerSet{"sgd", .9}}

func begin(t *testing.T, dir string, s any, overwrite bool) *output.Folder {
	t.Helper()
	f, err := output.Open(dir, layout)
	if err == nil {
		err = f.Begin(s, overwrite)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// put writes all files of the layout with the same text.
func put(ctx context.Context, f *output.Folder, text string) error {
	var contents []output.Content
	for _, name := range append(slices.Clone(layout.Files), "index.txt") {
		contents = append(contents, output.Content{Name: name, Write: func(w io.Writer) error { _, err := io.WriteString(w, text); return err }})
	}
	return f.Put(ctx, contents...)
}

func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// files lists a folder, without its lock.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); err == nil && !d.IsDir() && rel != ".rtx/lock" {
			all = append(all, rel)
		}
		return nil
	})
	return strings.Join(all, " ")
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	f := begin(t, dir, sgd, false)
	if f.Done() {
		t.Error("done before anything was computed")
	}
	write(t, f.State(), "going.txt")
	f.Close()
	f = begin(t, dir, sgd, false)
	if _, err := os.Stat(f.State("going.txt")); err != nil || f.Done() {
		t.Errorf("it cannot be gone on with: %v", err)
	}
	if err := put(t.Context(), f, "1"); err != nil {
		t.Fatal(err)
	}
	const whole = ".rtx/config.json .rtx/index.txt a.txt done.txt sub/b.txt"
	if got := files(t, dir); got != whole || !f.Done() {
		t.Errorf("it has %s, want %s", got, whole)
	}
	f.Close()

	// The same settings by another type, with fields in another order.
	type other struct {
		Optimizer map[string]any `json:"optimizer"`
		R         []int          `json:"rates"`
		M         string         `json:"model"`
	}
	f = begin(t, dir, other{map[string]any{"momentum": .9, "name": "sgd"}, []int{1, 2}, "m"}, false)
	if !f.Done() {
		t.Error("the same settings are not known")
	}
	f.Close()
	// Overwriting starts over also where nothing differs.
	if f = begin(t, dir, sgd, true); f.Done() || files(t, dir) != ".rtx/config.json" {
		t.Errorf("overwritten: %s", files(t, dir))
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(dir string)
		want string // "" for none
	}{
		{"another value", func(dir string) { begin(t, dir, settings{"x", []int{1, 2}, innerSet{"sgd", .9}}, false).Close() }, "model is x there and m here:"},
		{"others inside", func(dir string) { begin(t, dir, settings{"m", []int{1}, innerSet{Name: "adamw"}}, false).Close() },
			"optimizer.momentum is not set there and 0.9 here; optimizer.name is adamw there and sgd here; rates is [1] there and [1,2] here:"},
		{"other keys", func(dir string) { begin(t, dir, map[string]any{"net": true}, false).Close() },
			"model is not set there and m here; net is true there and not set here; optimizer.momentum"},
		{"files of others", func(dir string) { write(t, dir, "thesis.tex") }, `holds no count (it has "thesis.tex")`},
		{"a result alone", func(dir string) { write(t, dir, "a.txt") }, `holds no count (it has "a.txt")`},
		{"no record", func(dir string) { write(t, dir, "done.txt") }, "it is of another kind, or of earlier versions of rtx:"},
		{"an old record", func(dir string) { write(t, dir, "done.txt"); old(t, dir, `{"model":"m","rates":"[1 2]"}`) }, "another version of rtx"},
		{"a later record", func(dir string) { old(t, dir, `{"version":2,"kind":"count"}`) }, "another version of rtx"},
		{"a damaged record", func(dir string) { old(t, dir, "") }, "config.json is damaged"},
		{"another kind", func(dir string) {
			old(t, dir, `{"version":1,"kind":"sum","key":"","settings":{}}`)
		}, `holds no count (it is of the kind "sum")`},
		{"what may be beside", func(dir string) { write(t, dir, "beside-1/x") }, ""},
		{"what may be beside a result", func(dir string) { write(t, dir, "a.tex") }, ""},
		{"an empty state", func(dir string) { os.MkdirAll(filepath.Join(dir, ".rtx"), 0o777) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(dir)
			before := files(t, dir)
			f, err := output.Open(dir, layout)
			if err != nil {
				t.Fatal(err)
			}
			begun, err := f.Compare(sgd)
			again := f.Begin(sgd, false)
			f.Close()
			if c.want == "" {
				if err != nil || begun || again != nil {
					t.Errorf("refused: %v, %v", err, again)
				}
				return
			}
			if !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), c.want) || fmt.Sprint(again) != err.Error() {
				t.Errorf("%v, %v, want %q", err, again, c.want)
			}
			if got := files(t, dir); got != before {
				t.Errorf("it had %s and has %s", before, got)
			}
			begin(t, dir, sgd, true).Close()
			begin(t, dir, sgd, false).Close() // once overwritten it is no longer refused
		})
	}
}

// old writes a record.
func old(t *testing.T, dir, text string) {
	write(t, dir, ".rtx/config.json")
	if err := os.WriteFile(filepath.Join(dir, ".rtx/config.json"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestOverwrite removes what is of the job, and nothing else.
func TestOverwrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[1-3]*") // no pattern
	write(t, dir, "a.txt", "sub/b.txt", "sub/mine.txt", "done.txt", "thesis.tex", "beside-1/x", "part-1/.rtx/lock", "part-1/y", "part-2/mine.txt", ".rtx/going.txt", ".rtx/next/a.txt")
	begin(t, dir, sgd, true)
	const want = ".rtx/config.json beside-1/x part-2/mine.txt sub/mine.txt thesis.tex"
	if got := files(t, dir); got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

// TestClose leaves nothing of a folder that was not begun.
func TestClose(t *testing.T) {
	base := t.TempDir()
	empty := filepath.Join(base, "empty")
	os.Mkdir(empty, 0o777)
	for _, dir := range []string{filepath.Join(base, "new", "deep", "out"), empty} {
		f, err := output.Open(dir, layout)
		if err != nil {
			t.Fatal(err)
		}
		if begun, err := f.Compare(sgd); begun || err != nil {
			t.Errorf("%v, %v", begun, err)
		}
		f.Close()
	}
	if left, _ := os.ReadDir(base); len(left) != 1 || left[0].Name() != "empty" {
		t.Errorf("left %v", left)
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	f := begin(t, dir, sgd, false)
	if _, err := output.Open(dir, layout); !errors.Is(err, output.ErrLocked) {
		t.Errorf("two that write: %v", err)
	}
	if _, err := output.Share(dir, layout); !errors.Is(err, output.ErrLocked) {
		t.Errorf("one that reads beside one that writes: %v", err)
	}
	f.Close()
	a, err1 := output.Share(dir, layout)
	b, err2 := output.Share(dir, layout)
	if err1 != nil || err2 != nil {
		t.Fatalf("two that read: %v, %v", err1, err2)
	}
	if _, err := output.Open(dir, layout); !errors.Is(err, output.ErrLocked) {
		t.Errorf("one that writes beside two that read: %v", err)
	}
	a.Close()
	b.Close()
	begin(t, dir, sgd, false).Close()
	if c, err := output.Share(t.TempDir(), layout); err != nil || c.Close() != nil {
		t.Errorf("a folder without a state: %v", err)
	}
}

// TestOpenClose has many open and close the same folder, which is never begun, so
// that lock and folder vanish under their hands: only one has it at a time.
func TestOpenClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	inside, opened := make(chan bool, 1), make(chan int)
	for range 8 {
		go func() {
			n := 0
			for range 300 {
				f, err := output.Open(dir, layout)
				if errors.Is(err, output.ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					break
				}
				select {
				case inside <- true:
				default:
					t.Error("two have the folder")
				}
				n++
				<-inside
				f.Close()
			}
			opened <- n
		}()
	}
	total := 0
	for range 8 {
		total += <-opened
	}
	if total == 0 {
		t.Error("nobody got in")
	}
}

// TestPutFails leaves the old files where a new one cannot be written.
func TestPutFails(t *testing.T) {
	dir := t.TempDir()
	f := begin(t, dir, sgd, false)
	if err := put(t.Context(), f, "1"); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if err := put(ctx, f, "2"); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	if err := f.Put(t.Context(), output.Content{Name: "a.txt", Write: func(io.Writer) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("failed: %v", err)
	}
	if text, _ := os.ReadFile(f.Path("a.txt")); string(text) != "1" {
		t.Errorf("a.txt holds %q", text)
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("OUTPUT_TEST_DIR"); dir != "" {
		count(dir)
	}
	os.Exit(m.Run())
}

// count puts one number after the other into all files of a folder, until it is
// killed.
func count(dir string) {
	f, err := output.Open(dir, layout)
	if err == nil {
		err = f.Begin(sgd, false)
	}
	for n := 1; err == nil; n++ {
		if err = put(context.Background(), f, strconv.Itoa(n)); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// TestKilled kills a process that puts files: whatever the moment, they are all of
// one Put, and the folder can be opened again.
func TestKilled(t *testing.T) {
	dir, staged := t.TempDir(), 0
	for range 60 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OUTPUT_TEST_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n') // it has begun
		if line != "1\n" {
			t.Fatalf("the process says %q", line)
		}
		if _, err := output.Open(dir, layout); !errors.Is(err, output.ErrLocked) {
			t.Fatalf("while another process has it: %v", err)
		}
		time.Sleep(rand.N(8 * time.Millisecond))
		cmd.Process.Kill()
		cmd.Wait()
		if _, err := os.Stat(filepath.Join(dir, ".rtx", "next")); err == nil {
			staged++
		}
		f := begin(t, dir, sgd, false)
		want, err := os.ReadFile(f.Path("done.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{f.Path("a.txt"), f.Path("sub/b.txt"), f.State("index.txt")} {
			if got, err := os.ReadFile(name); err != nil || string(got) != string(want) {
				t.Errorf("%s holds %q (%v), done.txt %q", name, got, err, want)
			}
		}
		f.Close()
	}
	t.Logf("killed while files were written: %d times", staged)
	if staged == 0 {
		t.Error("the test did not interrupt anything")
	}
}

// TestCut ends a Put between any two of its renames, or after the last.
func TestCut(t *testing.T) {
	names := append([]string{"index.txt"}, layout.Files...)
	for moved := range len(names) + 1 {
		dir := t.TempDir()
		f := begin(t, dir, sgd, false)
		if err := put(t.Context(), f, "1"); err != nil {
			t.Fatal(err)
		}
		write(t, f.State(), "going.txt", "next/a.txt")
		for i, name := range names {
			file := f.State("commit", name)
			if i < moved {
				if file = f.Path(name); i == 0 {
					file = f.State(name)
				}
			}
			os.MkdirAll(filepath.Dir(f.State("commit", name)), 0o777)
			os.MkdirAll(filepath.Dir(file), 0o777)
			if err := os.WriteFile(file, []byte("2"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		f = begin(t, dir, sgd, false)
		for _, name := range []string{f.Path("a.txt"), f.Path("sub/b.txt"), f.Path("done.txt"), f.State("index.txt")} {
			if got, err := os.ReadFile(name); err != nil || string(got) != "2" {
				t.Errorf("%d moved: %s holds %q, %v", moved, name, got, err)
			}
		}
		if got := files(t, dir); got != ".rtx/config.json .rtx/index.txt a.txt done.txt sub/b.txt" {
			t.Errorf("%d moved: left %s", moved, got)
		}
	}
}

// TestOtherKind leaves a folder as it is, also where a Put into it was cut off, if it
// is opened as one of another kind.
func TestOtherKind(t *testing.T) {
	dir := t.TempDir()
	begin(t, dir, sgd, false).Close()
	write(t, dir, ".rtx/commit/a.txt", ".rtx/commit/done.txt", ".rtx/next/a.txt")
	before := files(t, dir)
	f, err := output.Open(dir, output.Layout{Kind: "sum", Files: []string{"a.txt", "sum.txt"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Begin(sgd, false); !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), `of the kind "count"`) {
		t.Errorf("as another kind: %v", err)
	}
	f.Close()
	if got := files(t, dir); got != before {
		t.Errorf("it had %s and has %s", before, got)
	}
	begin(t, dir, sgd, false)
	if got := files(t, dir); got != ".rtx/config.json a.txt done.txt" {
		t.Errorf("the Put is not completed: %s", got)
	}
}

func TestKey(t *testing.T) {
	a, err1 := output.Key(sgd)
	b, err2 := output.Key(settings{"m", []int{1, 2}, innerSet{"sgd", .9}})
	c, err3 := output.Key(settings{"m", []int{2, 1}, innerSet{"sgd", .9}})
	if err := errors.Join(err1, err2, err3); err != nil || len(a) != 64 || a != b || a == c {
		t.Errorf("%s %s %s, %v", a, b, c, err)
	}
	// What is written down in folders must not change its key.
	if want := "d62a366936a3eb75c9d2262718848c6a9b8fbe5038fb83566d8b2197b0855813"; a != want {
		t.Errorf("the key of %+v is %s", sgd, a)
	}
	type seed struct {
		Seed uint64 `json:"seed"`
	}
	big, _ := output.Key(seed{1 << 60})
	if next, _ := output.Key(seed{1<<60 + 1}); next == big {
		t.Error("large numbers are rounded")
	}
	for _, bad := range []any{func() {}, 3, []int{1}, "x"} {
		if _, err := output.Key(bad); err == nil {
			t.Errorf("%T has a key", bad)
		}
	}
	if d, err := output.Difference(sgd, sgd); d != "" || err != nil {
		t.Errorf("%q, %v", d, err)
	}
}
