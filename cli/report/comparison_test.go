package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// nasty is a name that is markup in every format, unless it is escaped.
const nasty = `<script>alert("1")</script>&|*b*` + "`"

// compared is a comparison of two architectures, each at several eps, and of two
// backbones about which little is known.
func compared() *Comparison {
	nan := math.NaN()
	c := &Comparison{
		Title:    "Backbones on " + nasty,
		Data:     []Fact{{"images", "2,059 in 10 classes"}, {"protocol", "5-fold cross-validation, out-of-fold figures"}, {"probe", "logistic regression, L-BFGS"}},
		Spread:   "± is the standard deviation over 1,000 bootstrap samples of the images; error bars are 95 % intervals.",
		Failed:   []Failure{{"broken" + nasty, "torch: read: truncated <pickle>"}},
		Notes:    []string{"3 images cannot be used " + nasty},
		Commands: []string{"rtx compare a.onnx b.onnx -d '" + nasty + "' -o out"},
		Versions: []Fact{{"rtx", "v0.3.0"}, {"onnxruntime", "1.23.0"}},
	}
	i := 0.0
	add := func(name, arch, norm string, eps, imageNet, top1 float64) {
		c.Models = append(c.Models, Backbone{
			Name: name, Rank: 1 + int(i/2), Arch: arch, Norm: norm, Eps: eps, ImageNet: imageNet, N: 2059, P: math.Ldexp(1, -int(i)),
			Top1: around(top1, 0.007), MeanPerClass: around(top1-0.0625, 0.0078125),
			Details: []Fact{{"features", "2,048"}, {"regularisation", "0.01"}},
			Classes: []Class{{"zero", 100, 0.91}, {nasty, 102, 0.75}, {"none", 0, nan}},
		})
		last := &c.Models[len(c.Models)-1]
		if arch != "" {
			last.Input, last.Parameters, last.ImagesPerSecond = [2]int{224, 224}, 11_700_000, 40-3*i
		}
		i++
	}
	add("resnet50_l2_eps3", "resnet50", "l2", 3, 0.6283, 0.921)
	add("resnet50_l2_eps0.5", "resnet50", "l2", 0.5, 0.7316, 0.917)
	add("resnet18_l2_eps1", "resnet18", "l2", 1, 0.6232, 0.893)
	add("resnet50_linf_eps4.0", "resnet50", "linf", 4.0/255, 0.6386, 0.89)
	add("resnet50_linf_eps2.0", "resnet50", "linf", 2.0/255, 0.691, 0.885)
	add("resnet50_l2_eps0.03", "resnet50", "l2", 0.03, 0.7576, 0.87)
	add("resnet50_l2_eps0", "resnet50", "l2", 0, 0.758, 0.866)
	add("resnet18_l2_eps0.1", "resnet18", "l2", 0.1, 0.6877, 0.84)
	add("resnet18_l2_eps0", "resnet18", "l2", 0, 0.6979, 0.846)
	add("somebody's "+nasty, "", "", nan, nan, 0.75)
	for i := range c.Models[2:] { // told apart from the best
		c.Models[2+i].P = min(c.Models[2+i].P, 1.0/32)
	}
	c.Matrix = &Matrix{[]string{"zero", nasty}, []int{90, 10, 20, 82}, "as judged " + nasty}
	c.Mistakes = &Mistakes{
		Caption: "of seed 0 " + nasty, Lines: []Mistake{{"a/" + nasty, "zero", nasty, 0.9987}},
		Sheet: &ContactSheet{Title: "Mistakes", Rows: [][]Thumbnail{{{Image: image.NewNRGBA(image.Rect(0, 0, 4, 4)), Label: nasty}}}},
	}
	c.Models[0].P = nan
	c.Models[9].Top1 = Estimate{0.75, nan, nan, nan}
	for a := range c.Models {
		for b := range a {
			c.Pairs = append(c.Pairs, Pair{A: b, B: a, OnlyA: 40 + a, OnlyB: 10 + b, P: 1 / float64(1+a*b)})
		}
	}
	return c
}

func around(x, sd float64) Estimate {
	round := func(x float64) float64 { return math.Round(x*1e6) / 1e6 }
	return Estimate{round(x), sd, round(x - 2*sd), round(x + 2*sd)}
}

// keep writes the output of a test into the folder RTX_KEEP_SVG, for people to look
// at.
func keep(name string, data []byte) {
	if dir := os.Getenv("RTX_KEEP_SVG"); dir != "" {
		os.WriteFile(filepath.Join(dir, name), data, 0o666)
	}
}

func TestHTML(t *testing.T) {
	var b bytes.Buffer
	if err := compared().HTML(&b); err != nil {
		t.Fatal(err)
	}
	keep("report.html", b.Bytes())
	text := b.String()
	if strings.Contains(text, "<script") || strings.Contains(text, "*b*`\"") {
		t.Error("markup of a name is in the page")
	}
	for _, outside := range regexp.MustCompile(`(?i)(src|href|url\(|@import)[^>]{0,40}`).FindAllString(text, -1) {
		if !strings.HasPrefix(outside, "src 'none'; style-src") && !strings.Contains(outside, "data:") {
			t.Errorf("the page refers to %q", outside)
		}
	}
	for _, want := range []string{
		"Best: resnet50_l2_eps3 (robust l2 3), top-1 92.10 ± 0.70 %. Not told apart from it: resnet50_l2_eps0.5.", "robust linf 4/255", "89.00 ± 0.70", "75.00</td>", "<td>224x224</td><td>11.7 M</td><td>37</td>", "Accuracy against cost", "<title>Confusion matrix</title>", "as judged &lt;script", "of seed 0 &lt;script",
		"Accuracy against the L2 eps", "the Linf eps", "Accuracy against published ImageNet top-1", "Robust minus standard", "45 McNemar tests", "broken&lt;script", "rtx compare a.onnx",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	wellFormed(t, text)
}

// wellFormed checks that every element of a page is closed, except void elements.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	var open []string
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local != "meta" {
				open = append(open, e.Name.Local)
			}
		case xml.EndElement:
			if n := len(open); n == 0 || open[n-1] != e.Name.Local {
				t.Fatalf("</%s> closes %q", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%q are open at the end", open)
	}
}

func TestHTMLOfLittle(t *testing.T) {
	for name, c := range map[string]*Comparison{
		"nothing": {}, "failures": {Title: "none", Failed: []Failure{{"a", "b"}}},
		"one": {Title: "one", Models: []Backbone{{Name: "a", Rank: 1, Eps: math.NaN(), P: math.NaN(), Top1: Estimate{0.5, math.NaN(), math.NaN(), math.NaN()}}}},
	} {
		var b strings.Builder
		if err := c.HTML(&b); err != nil {
			t.Fatal(name, err)
		}
		wellFormed(t, b.String())
		if strings.Contains(b.String(), "NaN") {
			t.Errorf("%s: NaN is in the page", name)
		}
		if err := c.Markdown(io.Discard); err != nil {
			t.Error(err)
		}
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	c := compared()
	if err := c.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 1+len(c.Models) {
		t.Fatal(len(rows), err)
	}
	for i, want := range map[int][]string{
		1:  {"1", "resnet50_l2_eps3", "robust", "l2", "3", "resnet50", "0.6283", "2059", "0.921", "0.007", "0.907", "0.935", "0.8585", "0.0078125", "0.842875", "0.874125", "", "224", "224", "11700000", "40"},
		10: {"5", "somebody's " + nasty, "", "", "", "", "", "2059", "0.75", "", "", "", "0.6875", "0.0078125", "0.671875", "0.703125", "0.001953125", "", "", "", ""},
	} {
		if !slices.Equal(rows[i], want) {
			t.Errorf("row %d is\n%q, want\n%q", i, rows[i], want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	c := compared()
	if err := c.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	keep("report.md", b.Bytes())
	text := b.String()
	for _, want := range []string{
		"\n| 1 | resnet50\\_l2\\_eps3 | robust l2 3 | 92.10 ± 0.70 | 85.85 ± 0.78 |  | 224x224 | 11.7 M | 40 |\n", "| 0.0020 |  |  |  |", "zero taken for \\<script\\>", "99.87 %", "\n- images: 2,059 in 10 classes\n", "\n    rtx compare a.onnx",
		"\n- broken\\<script\\>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 10 {
			t.Errorf("a row of %d bars: %s", strings.Count(line, "|"), line)
		}
	}
}

func TestPlots(t *testing.T) {
	c := compared()
	var names []string
	for _, p := range c.Plots() {
		names = append(names, p.Name)
		var b bytes.Buffer
		if err := p.Drawing.SVG(&b); err != nil {
			t.Fatal(err)
		}
		keep(p.Name+".svg", b.Bytes())
		count, texts := elements(t, b.Bytes())
		switch p.Name {
		case "top1":
			if texts["92.10"] != 1 || texts["robust linf 4/255"] != 1 || count["polygon"] != 10+3 {
				t.Errorf("bars: %v %v", count, texts)
			}
		case "cost": // nine backbones of two architectures, and their legend
			if got := count["circle"] + count["polygon"]; got != 9+2 || texts["25"] != 1 || texts["60"] != 1 {
				t.Errorf("cost: %v %v", count, texts)
			}
		case "eps-l2": // seven backbones of two architectures, and their legend
			if got := count["circle"] + count["polygon"]; got != 7+2 || texts["resnet18"] != 1 || texts["0.03"] != 1 {
				t.Errorf("eps: %v %v", count, texts)
			}
		case "imagenet":
			if texts["r = −0.353, R² = 0.125, n = 9"] != 1 {
				t.Errorf("ImageNet: %v", texts)
			}
		case "gain":
			if texts["+5.50"] != 1 || texts["−0.60"] != 1 {
				t.Errorf("gain: %v", texts)
			}
		}
	}
	if want := []string{"top1", "cost", "eps-l2", "eps-linf", "imagenet", "gain"}; !slices.Equal(names, want) {
		t.Errorf("plots %q, want %q", names, want)
	}
	c.Models = c.Models[:2]
	if got := len(c.Plots()); got != 1 {
		t.Errorf("%d plots of two backbones, want the bars alone", got)
	}
}

// TestDecades labels an axis of logarithms inside its range.
func TestDecades(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{1, 1000, "1 2 5 10 20 50 100 200 500 1000"}, {0.65, 1.22, "0.8 1 1.2"}, {30, 70, "30 40 50 60"}, {12, 90, "12 15 20 25 30 40 50 60 80"},
	} {
		var got []string
		for _, tick := range decades([]float64{math.Log10(c.low), math.NaN(), math.Log10(c.high)}) {
			got = append(got, tick.Text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	if b := (&Backbone{Eps: math.NaN(), Robust: true}); b.Training() != "robust" || kinds[b.kind()] != "robust" {
		t.Errorf("robust by an unknown threat model: %q, %q", b.Training(), kinds[b.kind()])
	}
	for p, want := range map[float64]string{1: "1.000", 0.04996: "0.050", 0.0123: "0.012", 0.00123: "0.0012", 1e-5: "< 0.0001", 0: "< 0.0001"} {
		if got := pText(p); got != want {
			t.Errorf("p %v is %q, want %q", p, got, want)
		}
	}
	for _, c := range []struct {
		norm string
		eps  float64
		want string
	}{{"linf", 4.0 / 255, "4/255"}, {"linf", 0.5 / 255, "0.5/255"}, {"linf", 0.1, "0.1"}, {"l2", 0.25, "0.25"}, {"l2", 4.0 / 255, fmt.Sprint(4.0 / 255)}} {
		if got := epsText(c.norm, c.eps); got != c.want {
			t.Errorf("%s %v is %q, want %q", c.norm, c.eps, got, c.want)
		}
	}
}

// TestTied has a backbone that is told apart from the second and not from the best:
// its rank is 2, and it is not told apart from the best.
func TestTied(t *testing.T) {
	c := &Comparison{Models: []Backbone{{Name: "a", Rank: 1, P: math.NaN()}, {Name: "b", Rank: 1, P: 0.9}, {Name: "c", Rank: 2, P: 0.06}, {Name: "d", Rank: 3, P: 0.001}}}
	if got := c.Answer(); !strings.HasSuffix(got, "Not told apart from it: b, c.") {
		t.Error(got)
	}
	var page bytes.Buffer
	if err := c.HTML(&page); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), `<tr class="same">`); n != 3 {
		t.Errorf("%d rows are marked as no worse than the best, want 3", n)
	}
}
