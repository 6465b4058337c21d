package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shell runs a script of a shell, or skips where that is not installed.
func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

// completions are command lines, and what must and must not be offered at
// their end.
var completions = []struct {
	line      string
	want, not []string
}{
	{"rtx ", []string{"featurize", "merge", "runtime"}, []string{"install", "--model"}},
	{"rtx fea", []string{"featurize"}, []string{"merge"}},
	{"rtx runtime ", []string{"install", "path"}, []string{"featurize"}},
	{"rtx featurize --form", []string{"--format"}, []string{"--model"}},
	{"rtx featurize --format ", []string{"npy", "npz", "safetensors", "parquet"}, []string{"avg"}},
	{"rtx featurize -q --pool a", []string{"avg"}, []string{"none"}},
	{"rtx merge --", []string{"--out", "--overwrite"}, []string{"--model"}},
	{"rtx eval --split ", []string{"test", "val", "train", "all"}, []string{"auto"}},
	{"rtx plot ", []string{"scatter", "neighbours"}, []string{"featurize"}},
	{"rtx plot neighbours --qu", []string{"--query", "--queries"}, []string{"--seed"}},
	{"rtx predict images.g", []string{"images.go"}, nil},
	{"rtx import images.g", []string{"images.go"}, nil},
	{"rtx import --arch wide", []string{"wide_resnet50_2", "wide_resnet50_4"}, []string{"resnet50"}},
	{"rtx new --arch cifar_resnet1", []string{"cifar_resnet110", "cifar_resnet18"}, []string{"cifar_resnet20"}},
	{"rtx probe --solver ", []string{"lbfgs", "sgd", "ridge", "knn"}, nil},
	{"rtx finetune --optimizer ", []string{"sgd", "adamw"}, nil},
	{"rtx compare images.g", []string{"images.go"}, nil},
	{"rtx export --to ", []string{"onnx", "safetensors"}, []string{"npy"}},
	{"rtx export --names ", []string{"checkpoint", "torchvision"}, nil},
	{"rtx completion ", []string{"bash", "zsh", "fish"}, nil},
}

func TestCompletion(t *testing.T) {
	script := func(t *testing.T, name string) string {
		o := call("completion", name)
		if o.code != 0 || o.stderr != "" {
			t.Fatal(o)
		}
		return write(t, "_rtx", o.stdout)
	}
	check := func(t *testing.T, i int, got []string) {
		c := completions[i]
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: no %q in %q", c.line, w, got)
			}
		}
		for _, w := range c.not {
			if slices.Contains(got, w) {
				t.Errorf("%q: %q in %q", c.line, w, got)
			}
		}
	}
	t.Run("bash", func(t *testing.T) {
		file := script(t, "bash")
		for i, c := range completions {
			out := shell(t, "bash", "--norc", "-c", `source "$1"; read -ra COMP_WORDS <<<"$2"; case "$2" in *" ") COMP_WORDS+=("") ;; esac
				COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _rtx 2>/dev/null; printf '%s\n' "${COMPREPLY[@]}"`, "bash", file, c.line)
			check(t, i, strings.Fields(out))
			// Flags come by group, most used first.
			if c.line == "rtx merge --" && strings.Join(strings.Fields(out), " ") != "--out --format --overwrite --json --quiet --help" {
				t.Errorf("%q: %q", c.line, out)
			}
		}
	})
	t.Run("fish", func(t *testing.T) {
		file := script(t, "fish")
		for i, c := range completions {
			var words []string
			for _, l := range strings.Split(shell(t, "fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, c.line), "\n") {
				word, _, _ := strings.Cut(l, "\t")
				words = append(words, word)
			}
			check(t, i, words)
		}
	})
	t.Run("zsh", func(t *testing.T) {
		file := script(t, "zsh")
		shell(t, "zsh", "-n", file)
		for i, c := range completions {
			words := strings.Fields(shell(t, "zsh", "-f", filepath.Join("testdata", "complete.zsh"), filepath.Dir(file), c.line))
			check(t, i, words)
		}
	})
	if o := call("completion", "tcsh"); o.code != 2 || !strings.Contains(o.stderr, "bash, zsh or fish") {
		t.Errorf("%+v", o)
	}
}

func TestMan(t *testing.T) {
	o := call("man")
	if o.code != 0 {
		t.Fatal(o)
	}
	for _, want := range []string{"rtx featurize", `\-\-batch\-size`, "RTX_MODEL", "EXIT STATUS", ".B 75", "rtx runtime install", "rtx plot neighbours"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in the manual", want)
		}
	}
	file := write(t, "rtx.1", o.stdout)
	if out := shell(t, "mandoc", "-Tlint", "-Wwarning", file); out != "" {
		t.Error(strings.ReplaceAll(out, filepath.Dir(file), ""))
	}
}
