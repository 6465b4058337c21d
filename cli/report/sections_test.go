package report

import (
	"bytes"
	"image"
	"image/png"
	"regexp"
	"strings"
	"testing"
)

// TestPage writes a page of every kind of content under names that are markup, and
// looks for each of them.
func TestPage(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	curve := Chart{
		Title: "Precision " + nasty, X: Axis{Label: "recall", High: 1}, Y: Axis{Label: "precision", High: 1},
		Groups: []Group{{Name: nasty, Joined: true, Bare: true, Points: []Point{{X: 0, Y: .9}, {X: .4, Y: .6}}}},
	}
	p := Page{
		Title: "Detector " + nasty, Answer: "AP 41.0 " + nasty, Facts: []Fact{{"images", nasty}},
		Sections: []Section{
			{Title: "Curves", Text: "At IoU .5 " + nasty, Figures: []Figure{{curve.Draw().SVG, "caption " + nasty}}, Note: "note " + nasty},
			{Title: "Classes", Table: &Grid{Header: []string{"class", "AP"}, Rows: [][]string{{nasty, "12.5"}}, Summary: "open " + nasty}},
			{Title: "Worst", Pictures: []Picture{{picture.Bytes(), 3, 2, nasty, "missed 3"}, {Data: []byte(nasty), Name: "broken"}}},
		},
		Notes: []string{"said " + nasty}, Commands: []string{"rtx eval " + nasty}, Versions: []Fact{{"rtx", "v1"}},
	}
	var b bytes.Buffer
	if err := p.HTML(&b); err != nil {
		t.Fatal(err)
	}
	keep("page.html", b.Bytes())
	text := b.String()
	if strings.Contains(text, "<script") {
		t.Error("markup of a name is in the page")
	}
	for _, outside := range regexp.MustCompile(`(?i)(src|href|url\(|@import)[^>]{0,40}`).FindAllString(text, -1) {
		if !strings.HasPrefix(outside, "src 'none'; style-src") && !strings.Contains(outside, "data:") && !strings.HasPrefix(outside, `src=""`) {
			t.Errorf("the page refers to %q", outside)
		}
	}
	for _, want := range []string{
		"AP 41.0 &lt;script", "caption &lt;script", "note &lt;script", "<summary>open &lt;script", `<td class="text name">&lt;script`, "<td>12.5</td>",
		`src="data:image/png;base64,`, `width="3" height="2"`, "missed 3", "said &lt;script", "rtx eval &lt;script", "<dt>rtx</dt>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(text, "<polyline"); n < 1 || strings.Count(text, "<circle") > 1 {
		t.Errorf("%d lines, and markers at points of a bare line", n)
	}
}
