package cli

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
)

// grown writes metrics of epochs and returns their curves, read as the file grows.
func grown(t *testing.T, epochs ...string) *curvesReader {
	t.Helper()
	name := filepath.Join(t.TempDir(), finetune.MetricsFile)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &curvesReader{}
	for i, figures := range epochs {
		fmt.Fprintf(f, `{"event":"step","step":%d,"epoch":%[1]d,"loss":1,"lr":0.%[1]d}`+"\n", i+1)
		fmt.Fprintf(f, `{"event":"eval","epoch":%d,"split":"val",%s}`+"\n"+`{"event":"ste`, i+1, figures)
		if err := r.update(name); err != nil {
			t.Fatal(err)
		}
		if len(r.curves) != i+1 {
			t.Fatalf("%d epochs of %d", len(r.curves), i+1)
		}
		f.Seek(int64(-len(`{"event":"ste`)), 1)
	}
	return r
}

func drawn(t *testing.T, c curves) string {
	t.Helper()
	var svg bytes.Buffer
	if err := c.svg(&svg); err != nil {
		t.Fatal(err)
	}
	return svg.String()
}

// Curves mark the best epoch, have top-1 above what it may cover, and no tick of -0.
func TestCurves(t *testing.T) {
	r := grown(t,
		`"n":4,"loss":1e-5,"top1":0,"mean_per_class":0,"train_loss":1.2,"best":true`,
		`"n":4,"loss":0.5,"top1":0.75,"mean_per_class":0.75,"train_loss":0.1,"best":true`,
		`"n":4,"loss":1,"top1":0.5,"mean_per_class":0.5,"train_loss":0.4,"best":false`)
	svg := drawn(t, r.curves)
	if n := strings.Count(svg, "best: epoch 2"); n < 2 {
		t.Errorf("the best epoch is marked %d times", n)
	}
	if mean, top1 := strings.LastIndex(svg, "mean per class 0.75"), strings.Index(svg, "top-1 0.75"); mean < 0 || top1 < mean {
		t.Errorf("top-1 is drawn at %d, mean per class, which covers it, at %d", top1, mean)
	}
	if tick := regexp.MustCompile(`>[-−]0(\.0*)?<`).FindString(svg); tick != "" {
		t.Errorf("a tick %q", tick)
	}
	if !strings.Contains(svg, ">0.0<") {
		t.Error("no tick at zero")
	}
	var table bytes.Buffer
	if err := r.csv(&table); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || fmt.Sprint(rows[2]) != "[2 0.1 0.5 0.75 0.75 0.2]" {
		t.Errorf("%v, %v", rows, err)
	}
}

// Without validation images there is no best epoch and no figure of it.
func TestCurvesUnvalidated(t *testing.T) {
	r := grown(t, `"n":0,"loss":null,"top1":null,"mean_per_class":null,"train_loss":0.5,"best":true`)
	if svg := drawn(t, r.curves); strings.Contains(svg, "best") || strings.Contains(svg, "top-1") {
		t.Error("figures of no images are drawn")
	}
	var table bytes.Buffer
	if err := r.csv(&table); err != nil || !strings.HasSuffix(table.String(), "\n1,0.5,,,,0.1\n") {
		t.Errorf("%q, %v", table.String(), err)
	}
}
