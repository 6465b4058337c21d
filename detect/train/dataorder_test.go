package train_test

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// manyShapes are drawings without objects' splits: all are for training.
func manyShapes(n int) []drawing {
	all := drawings(n)
	for i := range all {
		all[i].split = "train"
		if i%3 == 0 {
			all[i].w, all[i].h = 2*all[i].h, all[i].w
		}
	}
	return all
}

// TestOrder visits all rows in batches of one canvas; some of a group's rows are visited
// twice where its last batch is not full.
func TestOrder(t *testing.T) {
	root := cocoFolder(t, manyShapes(23), nil)
	for _, batch := range []int{2, 4, 5} {
		d := openData(t, root, core(t, nil), train.DataConfig{BatchSize: batch, ValFraction: -1, Canvases: 3})
		rows := d.Rows(finetune.Training)
		if d.Len(finetune.Training) != 23 || rows < 23 || rows%batch != 0 || len(d.Canvases()) < 2 || len(d.Canvases()) > 3 {
			t.Fatalf("batches of %d: %d of %d rows on %v", batch, rows, d.Len(finetune.Training), d.Canvases())
		}
		var earlier []int
		for epoch := range 3 {
			order := d.Order(1, epoch)
			if len(order) != rows || reflect.DeepEqual(order, earlier) || !slices.Equal(order, d.Order(1, epoch)) {
				t.Fatalf("epoch %d: %v, after %v", epoch, order, earlier)
			}
			earlier = order
			checkOrder(t, d, order, batch)
		}
		if slices.Equal(d.Order(1, 0), d.Order(2, 0)) {
			t.Error("the order does not depend on the seed")
		}
	}
	d := openData(t, root, core(t, nil), train.DataConfig{Size: 64, BatchSize: 4, ValFraction: -1})
	order := d.Order(1, 0)
	if sorted := slices.Sorted(slices.Values(order)); d.Rows(finetune.Training) != 23 || len(slices.Compact(sorted)) != 23 || slices.IsSorted(order) {
		t.Errorf("on one canvas: %v", order)
	}
}

func checkOrder(t *testing.T, d *train.Data, order []int, batch int) {
	t.Helper()
	visits, last := map[int]int{}, map[int]int{} // the first batch of a row, and the rows that are visited twice in each group
	for i, rows := range slices.Collect(slices.Chunk(order, batch)) {
		for _, row := range rows {
			if d.Group(finetune.Training, row) != d.Group(finetune.Training, rows[0]) {
				t.Errorf("batch %d, %v, is of several canvases", i, rows)
			}
			if visits[row]++; visits[row] > 1 {
				last[d.Group(finetune.Training, row)]++
			}
		}
		load(t, d, finetune.Training, 0, rows...)
	}
	sizes := map[int]int{}
	for row := range visits {
		sizes[d.Group(finetune.Training, row)]++
	}
	for row, n := range visits {
		if rest := batch - 1; n > 1+(rest+sizes[d.Group(finetune.Training, row)]-1)/sizes[d.Group(finetune.Training, row)] {
			t.Errorf("row %d of a group of %d is visited %d times", row, sizes[d.Group(finetune.Training, row)], n)
		}
	}
	if len(visits) != d.Len(finetune.Training) {
		t.Errorf("%d of %d rows are visited", len(visits), d.Len(finetune.Training))
	}
	for group, n := range last {
		if n >= batch {
			t.Errorf("group %d: %d visits too many", group, n)
		}
	}
}

// TestSameData loads the same, bit by bit, with any number of workers, with and without a
// cache, and in any epoch again; and other sizes and mirrorings in other epochs.
func TestSameData(t *testing.T) {
	root := cocoFolder(t, manyShapes(12), nil)
	config := train.DataConfig{MinSizes: []int{40, 48, 64}, MaxSize: 90, Flip: true, Masks: true, ValFraction: -1, BatchSize: 4, Canvases: 1, Seed: 5}
	see := func(c train.DataConfig, seed uint64, epochs ...int) (all [][]float32, targets [][]*train.Target) {
		d := openData(t, root, core(t, nil), c)
		d.Reseed(seed)
		for _, epoch := range epochs {
			b := load(t, d, finetune.Training, epoch, 3, 1, 2, 7)
			seen, _ := sights(t, b)
			all, targets = append(all, slices.Clone(b.Inputs[graph.Images])), append(targets, seen)
		}
		return all, targets
	}
	images, targets := see(config, 5, 0, 1, 2, 3, 4, -1)
	flips, sizes, mixed := map[bool]int{}, map[detect.Size]int{}, 0
	for _, epoch := range targets[:5] {
		for i, target := range epoch {
			flips[target.Flipped]++
			sizes[target.Size]++
			if i > 0 && target.Flipped != epoch[0].Flipped {
				mixed++
			}
		}
	}
	if mixed < 3 || flips[true] < 4 || flips[false] < 4 || len(sizes) < 8 || slices.Equal(images[0], images[1]) {
		t.Errorf("five epochs: %v, %v", flips, sizes)
	}
	for _, change := range []func(*train.DataConfig){
		func(c *train.DataConfig) { c.Workers = 4 }, func(c *train.DataConfig) { c.Cache = -1 }, func(c *train.DataConfig) { c.Cache = 20_000 },
	} {
		c := config
		change(&c)
		again, seen := see(c, 5, -1, 4, 3, 2, 1, 0, 0)
		slices.Reverse(again[:6])
		slices.Reverse(seen[:6])
		if !reflect.DeepEqual(again[:6], images) || !reflect.DeepEqual(seen[:6], targets) || !slices.Equal(again[6], images[0]) {
			t.Errorf("%+v: other images or targets", c)
		}
	}
	if other, _ := see(config, 6, 0, 1); reflect.DeepEqual(other, images[:2]) {
		t.Error("another seed changes nothing")
	}
	// an image that is kept scaled
	for _, size := range []int{32, 64} {
		a, _ := see(train.DataConfig{Size: size, Flip: true, ValFraction: -1}, 0, 0, 1, 2, 3)
		b, _ := see(train.DataConfig{Size: size, Flip: true, ValFraction: -1, Cache: -1}, 0, 0, 1, 2, 3)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("size %d: the cache changes images", size)
		}
	}
}

// TestCanvases chooses few canvases that waste little: with one for all, much more.
func TestCanvases(t *testing.T) {
	root := cocoFolder(t, manyShapes(60), nil)
	area := func(most, batch int) (n int) {
		d := openData(t, root, core(t, nil), train.DataConfig{Canvases: most, ValFraction: -1, BatchSize: batch})
		all := d.Canvases()
		if len(all) > max(most, 1) {
			t.Errorf("%d canvases, at most %d", len(all), most)
		}
		for row := range d.Len(finetune.Training) {
			c := all[d.Group(finetune.Training, row)]
			size := detect.Scaled(d.Images(), d.Size(finetune.Training, row))
			if size.H > c.H || size.W > c.W {
				t.Fatalf("%v does not fit on %v", size, c)
			}
			n += c.H * c.W
		}
		return n
	}
	last := math.MaxInt
	for _, most := range []int{1, 2, 3, 6} {
		n := area(most, 2)
		if n > last {
			t.Errorf("%d canvases waste more than fewer", most)
		}
		last = n
	}
	if one, six := area(1, 2), area(6, 2); float64(six) > .8*float64(one) {
		t.Errorf("%d pixels on six canvases, %d on one", six, one)
	}
	d := openData(t, root, core(t, nil), train.DataConfig{ValFraction: -1, BatchSize: 64})
	if len(d.Canvases()) != 1 || d.Rows(finetune.Training) != 60 {
		t.Errorf("%d rows on %v in batches of 64", d.Rows(finetune.Training), d.Canvases())
	}
}

// TestPaddedMore tells of validation images on a canvas that is larger than they need, and
// only of those.
func TestPaddedMore(t *testing.T) {
	root := cocoFolder(t, manyShapes(60), nil)
	for _, c := range []struct {
		config train.DataConfig
		told   bool
	}{{train.DataConfig{Canvases: 1}, true}, {train.DataConfig{Canvases: 60, BatchSize: 1}, false}, {train.DataConfig{Size: 64}, false}} {
		d := openData(t, root, core(t, nil), c.config)
		if told := strings.Contains(strings.Join(d.Notes(), "\n"), "validation images are padded more than in use"); told != c.told || d.Rows(finetune.Validation) == 0 {
			t.Errorf("%+v: %q on %v", c.config, d.Notes(), d.Canvases())
		}
	}
}

// TestCache reads each image once where all fit, and otherwise those again that do not.
func TestCache(t *testing.T) {
	all := drawings(5)
	all[0].w, all[0].h = 200, 150 // 90,000 bytes
	for i := range all {
		all[i].split = "train"
	}
	total := 0
	for _, d := range all[1:] {
		total += 3 * d.w * d.h
	}
	root := cocoFolder(t, all, nil)
	for _, c := range []struct {
		size  int
		limit int64
		want  []int // reads of an epoch
	}{
		{0, 0, []int{5, 0, 0}}, {0, -1, []int{5, 5, 5}},
		{0, int64(total), []int{5, 1, 1}},              // all but the large one
		{0, int64(total) - 1, []int{5, 2, 2}},          // nor the last one
		{32, 4 * 3 * 32 * 24, []int{5, 4, 4}},          // the large one as it is scaled
		{32, int64(total) + 4*3*32*24, []int{5, 0, 0}}, // the others are smaller as they are
	} {
		set, err := data.Open(context.Background(), root, data.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		reads := 0
		for i := range set.Images {
			read := set.Images[i].Read
			set.Images[i].Read = func(dst []byte) ([]byte, error) { reads++; return read(dst) }
		}
		d, err := train.OpenData(context.Background(), set, core(t, nil), train.DataConfig{Size: c.size, Cache: c.limit, ValFraction: -1, MinSizes: []int{40, 50}[:min(2, 2-c.size/32)]})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		var got []int
		for epoch := range c.want {
			reads = 0
			for row := range 5 {
				load(t, d, finetune.Training, epoch, row)
			}
			got = append(got, reads)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("size %d, cache of %d: %v reads, want %v", c.size, c.limit, got, c.want)
		}
	}
}
