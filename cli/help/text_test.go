package help

import (
	"slices"
	"testing"
)

func TestAbout(t *testing.T) {
	for _, c := range []struct{ usage, value, want string }{
		{"threads; 0: one a core", "0", "threads; 0: one a core (default)"},
		{"stop after N; 0: the recipe's, -1: never", "0", "stop after N; 0: the recipe's (default), -1: never"},
		{"stop after N; 0: the recipe's, -1: never", "-1", "stop after N; 0: the recipe's, -1: never (default)"},
		{"stop after N; 0: never", "10", "stop after N; 0: never (default: 10)"},
		{"rate (default: the recipe's)", "1", "rate (default: the recipe's)"},
		{"rate", "", "rate"},
	} {
		if got := (Option{Usage: c.usage, Default: c.value}).About(); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.usage, c.value, got, c.want)
		}
	}
}

func TestParagraphs(t *testing.T) {
	got := paragraphs("one\ntwo\n\n\n\nthree")
	if want := []string{"one two", "three"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	if got, want := wrap("a bb  ccc dddd", 6), []string{"a bb", "ccc", "dddd"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := shellWrap("rtx new --arch resnet18 --classes 10 -o a", 30), "rtx new --arch resnet18 \\\n    --classes 10 -o a"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
