package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	err := Table(&b, [][]string{{"class", "n", "accuracy"}, {"zebra", "12", "100.00"}, {"Bär", "7", ""}})
	want := "class   n  accuracy\nzebra  12    100.00\nBär     7\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%q, want\n%q", err, b.String(), want)
	}
}

// elements counts the elements of an SVG by name and returns the contents of its
// <text> elements. It fails if the SVG is not well-formed.
func elements(t *testing.T, svg []byte) (count map[string]int, texts map[string]int) {
	t.Helper()
	count, texts = map[string]int{}, map[string]int{}
	inside := ""
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			inside = x.Name.Local
			count[inside]++
		case xml.EndElement:
			inside = ""
		case xml.CharData:
			if inside == "text" {
				texts[string(x)]++
			}
		}
	}
}

// made returns a confusion matrix that is mostly diagonal; class 1 never occurs.
func made(k int) (labels []string, counts []int) {
	counts = make([]int, k*k)
	for i := range k {
		labels = append(labels, fmt.Sprintf("class <%d> & \"more\"", i))
		if i == 1 {
			continue
		}
		counts[i*k+i] = 60 + i%17
		counts[i*k+(i*7+3)%k] += 9
		counts[i*k+(i*5+1)%k] += 2
	}
	return labels, counts
}

func TestConfusion(t *testing.T) {
	const fixed = 2 + 40 // background, frame, legend
	for _, k := range []int{1, 2, 10, 20, 21, 100, 200, 1000} {
		labels, counts := made(k)
		var b bytes.Buffer
		if err := Confusion(&b, labels, counts); err != nil {
			t.Fatal(err)
		}
		cells := 0
		for _, n := range counts {
			if n > 0 {
				cells++
			}
		}
		count, texts := elements(t, b.Bytes())
		if count["rect"] != cells+fixed || count["title"] != cells+1 {
			t.Errorf("%d classes: %d rectangles, %d titles, want %d cells", k, count["rect"], count["title"], cells)
		}
		if texts[labels[0]] != 2 || k <= 50 && texts[labels[k-1]] != 2 {
			t.Errorf("%d classes: labels are missing", k)
		}
		if wide := k > countsTo; wide != (texts[fmt.Sprint(counts[0])] == 0) {
			t.Errorf("%d classes: count %d is written %d times", k, counts[0], texts[fmt.Sprint(counts[0])])
		}
		if dir := os.Getenv("RTX_KEEP_SVG"); dir != "" {
			os.WriteFile(filepath.Join(dir, fmt.Sprintf("confusion-%d.svg", k)), b.Bytes(), 0o666)
		}
	}
	if err := Confusion(io.Discard, []string{"a", "b"}, make([]int, 3)); err == nil {
		t.Error("3 counts for 2 classes: no error")
	}
	if err := Confusion(io.Discard, nil, nil); err == nil {
		t.Error("no classes: no error")
	}
}

func TestColour(t *testing.T) {
	for share, want := range map[float64]string{0: "#f6f8fb", 0.25: "#5c94c8", 1: "#0c2654", -1: "#f6f8fb", 2: "#0c2654"} {
		if got := colour(share); got != want {
			t.Errorf("%v: %s, want %s", share, got, want)
		}
	}
}
