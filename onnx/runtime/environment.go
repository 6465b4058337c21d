package runtime

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// environment is the one environment that onnxruntime has in a process.
var environment struct {
	sync.Mutex
	library string
}

// start opens the environment, once. A process can use one library only.
func start(lib Library) error {
	environment.Lock()
	defer environment.Unlock()
	if environment.library != "" {
		if environment.library != lib.Path {
			return fmt.Errorf("runtime: this process already uses %q", environment.library)
		}
		return nil
	}
	ort.SetSharedLibraryPath(lib.Path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("runtime: %q: %w: %w", lib.Path, err, ErrUnavailable)
	}
	environment.library = lib.Path
	return ort.DisableTelemetry()
}
