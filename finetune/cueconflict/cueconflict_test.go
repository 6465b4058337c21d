package cueconflict

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestGroups(t *testing.T) {
	g, imageNet, err := GroupsOf(nil, 1000)
	if err != nil || !imageNet || len(g) != 16 {
		t.Fatal(g, imageNet, err)
	}
	// The sizes of the published lists.
	sizes := map[string]int{"airplane": 1, "bear": 4, "bicycle": 2, "bird": 49, "boat": 5, "bottle": 7, "car": 3, "cat": 6, "chair": 4, "clock": 3, "dog": 109, "elephant": 2, "keyboard": 2, "knife": 1, "oven": 1, "truck": 8}
	seen := map[int]bool{}
	for class, n := range sizes {
		if len(g[class]) != n {
			t.Errorf("%s has %d classes, want %d", class, len(g[class]), n)
		}
		for _, i := range g[class] {
			if seen[i] || i < 0 || i >= 1000 {
				t.Errorf("%d of %s", i, class)
			}
			seen[i] = true
		}
	}
	names := make([]string, 1000)
	names[281], names[404], names[817] = "tabby, tabby cat", "n02690373", "sports_car"
	if _, imageNet, err := GroupsOf(names, 1000); !imageNet || err != nil {
		t.Error(imageNet, err)
	}
	names[817] = "cat"
	if _, _, err := GroupsOf(names, 1000); !errors.Is(err, ErrNoGroups) {
		t.Error(err)
	}
	g, imageNet, err = GroupsOf([]string{"dog", "frog", "Cat", "truck"}, 4)
	if err != nil || imageNet || len(g) != 3 || !slices.Equal(g["cat"], []int{2}) {
		t.Error(g, imageNet, err)
	}
	if got := g.Decide([]float64{0.1, 0.7, 0.15, 0.05}); got != "cat" {
		t.Errorf("decided for %q", got)
	}
	h := Groups{"cat": {0, 1}, "dog": {2}}
	if got := h.Decide([]float64{0.5, 0.0, 0.3}); got != "dog" {
		t.Errorf("the mean decides, not the sum: %q", got)
	}
	if got := h.Decide([]float64{0.2, 0.2, 0.2}); got != "cat" {
		t.Errorf("of equal ones the first: %q", got)
	}
}

func TestParse(t *testing.T) {
	for file, want := range map[string][2]string{"cat1-elephant3.png": {"cat", "elephant"}, "dog/cat10-cat2.jpg": {"cat", "cat"}, "cat-dog": {"cat", "dog"}} {
		if shape, texture, ok := Parse(file); !ok || shape != want[0] || texture != want[1] {
			t.Errorf("%s: %q, %q, %v", file, shape, texture, ok)
		}
	}
	for _, file := range []string{"cat1.png", "cat1-fish2.png", "1-2.png", "", "cat1-dog1-cat1.png"} {
		if _, _, ok := Parse(file); ok {
			t.Errorf("%q has classes", file)
		}
	}
}

func TestTally(t *testing.T) {
	var tally Tally
	for _, d := range [][3]string{{"cat", "dog", "cat"}, {"cat", "dog", "dog"}, {"cat", "dog", "car"}, {"dog", "cat", "dog"}, {"cat", "cat", "cat"}} {
		tally.Add(d[0], d[1], d[2])
	}
	if all := tally.All(); all != (Count{"", 4, 2, 1}) || all.Bias() != 2.0/3 || all.ByShape() != 0.5 || all.ByTexture() != 0.25 || tally.Agree() != 1 {
		t.Errorf("%+v", all)
	}
	if per := tally.PerShape(); !slices.Equal(per, []Count{{"cat", 3, 1, 1}, {"dog", 1, 1, 0}}) {
		t.Errorf("%+v", per)
	}
	if !math.IsNaN((Count{}).Bias()) {
		t.Error("a bias of nothing")
	}
}
