package train

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// executors are those that there are.
var executors = map[string]func(t testing.TB) finetune.Executor{
	"tape":  func(t testing.TB) finetune.Executor { return &tape.Executor[float32]{} },
	"lower": func(t testing.TB) finetune.Executor { return machine(t) },
}

// trained are the parameters after a training.
func trained(t *testing.T, net *graph.Network, r *finetune.Result) map[string][]float32 {
	t.Helper()
	values := map[string][]float32{}
	for _, p := range net.Params() {
		v, err := r.LastModel.Floats(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		values[p.Name] = v
	}
	return values
}

// A training that is interrupted and continues ends with the same bits, with images of
// several sizes, in batches of several numbers of images.
func TestResume(t *testing.T) {
	a, b, c := detect.Size{H: 64, W: 64}, detect.Size{H: 32, W: 96}, detect.Size{H: 96, W: 32}
	s := newScenes(7, true, a, a, b, b, c, c)
	for executor, open := range executors {
		for _, name := range []string{"fasterrcnn_tiny_fpn", "maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
			epochs, stops := 2, []int{1, 5, 0}
			switch {
			case executor == "tape" && name == "retinanet_tiny_fpn" || os.Getenv("RTX_LARGE") != "":
			case executor == "lower" && name == "fasterrcnn_tiny_fpn":
				epochs, stops = 1, []int{2, 0} // programs take a second to make
			default:
				continue // takes longer
			}
			t.Run(executor+"/"+name, func(t *testing.T) {
				net := small(t, name)
				task := smallTask(net, s)
				task.Conventions.FixedNormalizer = true // RetinaNet's is a part of the state
				train := func(ctx context.Context, c finetune.Config) map[string][]float32 {
					t.Helper()
					x := &counting{Executor: open(t)}
					defer x.Close()
					r, err := finetune.Train(ctx, net, x, task, grouped{s}, c)
					if err != nil {
						t.Fatal(err)
					}
					if x.forgotten == 0 && c.Store == nil {
						t.Error("the programs of no canvas were forgotten")
					}
					return trained(t, net, r)
				}
				var want []float64
				c := smallConfig(epochs)
				c.EMA = .9
				c.Report = func(e finetune.Event) error {
					if e.Kind == finetune.Stepped {
						want = append(want, e.Loss)
					}
					return nil
				}
				whole := train(context.Background(), c)
				var got []float64
				store := finetune.FileStore(filepath.Join(t.TempDir(), "state"))
				for _, until := range stops {
					ctx, cancel := context.WithCancel(context.Background())
					c.Store = store
					c.Report = func(e finetune.Event) error {
						if e.Kind == finetune.Stepped {
							if got = append(got, e.Loss); e.Step == until {
								cancel()
							}
						}
						return nil
					}
					if last := train(ctx, c); until == 0 {
						for name, v := range last {
							if !slices.Equal(v, whole[name]) {
								t.Errorf("%s differs", name)
							}
						}
					}
					cancel()
				}
				if !slices.Equal(got, want) || len(want) != 4*epochs {
					t.Errorf("losses %v, want %v", got, want)
				}
			})
		}
	}
}

// grouped are scenes in batches of two images of one canvas, where one is left over.
type grouped struct{ *scenes }

func (g grouped) Group(_ finetune.Split, row int) int { return g.targets[row].Canvas.W }

func (g grouped) Order(_ uint64, epoch int) []int {
	if epoch%2 == 0 {
		return []int{0, 1, 2, 3, 4, 5, 6}
	}
	return []int{5, 4, 1, 0, 3, 2, 6}
}

// counting counts the programs that are forgotten.
type counting struct {
	finetune.Executor
	forgotten int
}

func (x *counting) Forget(p *graph.Program) error {
	x.forgotten++
	if f, ok := x.Executor.(interface{ Forget(*graph.Program) error }); ok {
		return f.Forget(p)
	}
	return nil
}
