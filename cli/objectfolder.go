package cli

import "github.com/robust-transfer/rtx/featurize/output"

// objectSettings are what an evaluation of detections depends on.
type objectSettings struct {
	Predictions string            `json:"predictions,omitempty"` // SHA-256
	Detector    *detectorSettings `json:"detector,omitempty"`
	Against     string            `json:"against,omitempty"`
	Split       string            `json:"split"`
	Data        string            `json:"data"`
	Metric      string            `json:"metric"`
	Rounding    string            `json:"voc_rounding"`
	Corrupt     string            `json:"corruptions,omitempty"`
}

func (v *evaluatingObjects) settings() objectSettings {
	s := objectSettings{Split: v.truth.split, Data: v.truth.identity(), Metric: v.metric(), Rounding: v.o.Rounding, Corrupt: corruptionKey(v.plan)}
	if v.file != nil {
		s.Predictions = v.file.SHA256
	} else {
		s.Detector = v.detectorSettings()
	}
	if v.other != nil {
		s.Against = v.other.SHA256
	}
	return s
}

// openFolder locks OUT, where there is one.
func (v *evaluatingObjects) openFolder() (err error) {
	if dir := v.o.Out; dir != "" {
		if v.folder, err = output.Open(dir, objectsLayout); err == nil {
			v.folder.Keep(v.Data, v.config, v.o.Predictions, v.o.Against)
			if v.model != nil {
				v.folder.Keep(append(v.model.Files(), v.Model)...)
			}
		}
	}
	return err
}

// there returns the evaluation that OUT holds already; nil: there is something to do.
func (v *evaluatingObjects) there() (*objectEvaluation, error) {
	if v.folder == nil || v.o.Overwrite {
		return nil, nil
	}
	begun, err := v.folder.Compare(v.settings())
	if err != nil || !begun || !v.folder.Done() {
		return nil, err
	}
	return readEvaluation[objectEvaluation](v.folder)
}
