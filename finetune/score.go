package finetune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Figure is a named measure in a Score, such as top-1 accuracy.
type Figure struct {
	Name  string
	Value float64
}

// Score is how well weights do on the rows of a split. In JSON it is an object of
// epoch, n, loss, each figure under its name, and train_loss; NaN and infinite values
// are null, which is read as NaN.
type Score struct {
	Epoch     int     // after which the weights were scored, counted from 1; 0: before training (Config.ScoreStart)
	N         int     // number of rows; if it is 0, Loss and all figures are NaN
	Loss      float64 // mean over the rows, as the task defines it; NaN if it computes none, and ranks by a figure
	Figures   []Figure
	TrainLoss float64 // mean over the steps of the epoch; NaN in a score of test rows or before training
}

// unknown is a score of no rows, with the figures of s.
func (s Score) unknown() Score {
	figures := slices.Clone(s.Figures)
	for i := range figures {
		figures[i].Value = math.NaN()
	}
	return Score{Loss: math.NaN(), Figures: figures}
}

// Figure returns the value of a figure, NaN if there is none of this name.
func (s Score) Figure(name string) float64 {
	for _, f := range s.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	return math.NaN()
}

// better compares scores by a figure, and by the loss if figures are equal or figure
// is "". A figure that is NaN is worse than all others.
func (s Score) better(than Score, figure string) bool {
	if figure == "" {
		return s.Loss < than.Loss
	}
	a, b := s.Figure(figure), than.Figure(figure)
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.IsNaN(b) && (!math.IsNaN(a) || s.Loss < than.Loss)
	}
	return a > b || a == b && s.Loss < than.Loss
}

// MarshalJSON writes one flat object, with the figures in their order.
func (s Score) MarshalJSON() ([]byte, error) {
	fields := []Figure{{"loss", s.Loss}}
	fields = append(append(fields, s.Figures...), Figure{"train_loss", s.TrainLoss})
	out := fmt.Appendf(nil, `{"epoch":%d,"n":%d`, s.Epoch, s.N)
	for _, f := range fields {
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(append(out, ','), name...), ':'), number(f.Value)...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON has written.
func (s *Score) UnmarshalJSON(data []byte) error {
	*s = Score{}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t == nil { // null leaves the zero Score
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var to any
		figure := Figure{}
		switch figure.Name, _ = name.(string); figure.Name {
		case "epoch":
			to = &s.Epoch
		case "n":
			to = &s.N
		case "loss":
			to = &s.Loss
		case "train_loss":
			to = &s.TrainLoss
		default:
			to = &figure.Value
		}
		var text json.RawMessage
		err = d.Decode(&text)
		if v, is := to.(*float64); is && string(text) == "null" {
			*v = math.NaN()
		} else if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			return fmt.Errorf("finetune: score: %q: %w", figure.Name, err)
		}
		if to == &figure.Value {
			s.Figures = append(s.Figures, figure)
		}
	}
	return nil
}
