package cli

import (
	"os"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// findEngine chooses the executor: "ort", or "tape" where --engine says so or no
// onnxruntime library is found.
func (n *network) findEngine(doing string) (string, error) {
	if n.Engine == "tape" {
		return n.Engine, nil
	}
	var err error
	if n.library, err = runtime.Find(n.Library); err == nil {
		return "ort", nil
	}
	if n.Engine == "ort" || n.Library != "" || os.Getenv(runtime.Variable) != "" {
		return "", err
	}
	n.warn("without onnxruntime %s is in Go, and much slower (rtx runtime install)", doing)
	return "tape", nil
}

// executor opens an executor.
func (n *network) executor(engine string) (finetune.Executor, error) {
	if engine == "tape" {
		return &tape.Executor[float32]{}, nil
	}
	return lower.Open(n.executorOptions(), lower.Config{})
}

// executorOptions say how onnxruntime runs an executor's programs.
func (n *network) executorOptions() runtime.Options {
	return runtime.Options{Library: n.library, Threads: n.Threads, Device: n.Device}
}
