package cli

import (
	"math"
	"path/filepath"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/tfevents"
)

// eventsFile is the file of --log tensorboard in the folder of a training.
const eventsFile = "events.out.tfevents.rtx"

// eventLog writes what trainings of a run report for TensorBoard.
type eventLog struct {
	run    string // the run's folder
	writer *tfevents.Writer
}

// event writes the numbers of an event.
func (l *eventLog) event(one *finetune.Trial, e finetune.Event) (err error) {
	switch e.Kind {
	case finetune.Started:
		if err = l.close(); err == nil {
			l.writer, err = tfevents.Open(filepath.Join(l.run, one.Dir, eventsFile), int64(e.Step)+1)
		}
	case finetune.Stepped:
		err = l.writer.Write(int64(e.Step), tfevents.Scalar{Tag: "train/loss", Value: e.Loss}, tfevents.Scalar{Tag: "train/lr", Value: e.LearningRate})
	case finetune.Evaluated:
		err = l.writer.Write(int64(e.Step), scalars(e)...)
	case finetune.Ended:
		err = l.close()
	}
	return err
}

// scalars are the numbers of an evaluation, without those that are not known.
func scalars(e finetune.Event) (known []tfevents.Scalar) {
	split := e.Split.String() + "/"
	all := []tfevents.Scalar{{Tag: split + "loss", Value: e.Score.Loss}, {Tag: "train/epoch_loss", Value: e.Score.TrainLoss}}
	for _, f := range e.Score.Figures {
		all = append(all, tfevents.Scalar{Tag: split + f.Name, Value: f.Value})
	}
	for _, s := range all {
		if !math.IsNaN(s.Value) {
			known = append(known, s)
		}
	}
	return known
}

func (l *eventLog) close() error {
	if l.writer == nil {
		return nil
	}
	err := l.writer.Close()
	l.writer = nil
	return err
}
