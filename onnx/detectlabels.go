package onnx

// Label is the number that a deployed detector gives to a class, from 1 on. It is 0 for
// a first class that stands for the background, which the one-stage detectors of
// torchvision count but never learn.
func (d *Detect) Label(class int) int { return class + 1 - d.unlabelled() }

// Class is the index in Classes of a label.
func (d *Detect) Class(label int) int { return label - 1 + d.unlabelled() }

// LabelNames are the names of the labels from 1 on.
func (d *Detect) LabelNames() []string {
	names := []string{}
	for _, c := range d.Classes[d.unlabelled():] {
		names = append(names, c.Name)
	}
	return names
}

// unlabelled is the number of classes before the one whose label is 1.
func (d *Detect) unlabelled() int {
	if d.Box == nil && len(d.Classes) > 1 && d.Classes[0].Name == "" {
		return 1
	}
	return 0
}
