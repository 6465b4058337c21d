package cli

import "testing"

// TestPixelText holds that settings name the flags as they are given: in an output with
// other settings the two are told beside each other.
func TestPixelText(t *testing.T) {
	for want, o := range map[string]inputOptions{
		"[]": {Resize: "224"},
		"[--normalize 0.5,0.5,0.5/0.5,0.5,0.5 --channels bgr]": {Normalize: "0.5,0.5,0.5/0.5,0.5,0.5", Channels: "bgr"},
	} {
		if got := o.pixelText(); got != want {
			t.Errorf("%+v: %s, want %s", o, got, want)
		}
	}
}
