package finetune

import (
	"bytes"
	"encoding/json"
	"fmt"
)

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
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(append(out, ','), name...), ':'), value...)
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
		if err := d.Decode(to); err != nil {
			return fmt.Errorf("finetune: score: %q: %w", figure.Name, err)
		}
		if to == &figure.Value {
			s.Figures = append(s.Figures, figure)
		}
	}
	return nil
}
