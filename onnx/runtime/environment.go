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
	steps   int // that have the arena
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

// firstRegion is the size of the arena's first region in bytes; each further one is twice
// as large as the last. Free memory joins within a region only. The steps that cli/bench
// measures, of classifiers and detectors, take less with this size than with the library's
// of a megabyte, and than with a gigabyte. What is never used of a region is not resident.
const firstRegion = 256 << 20

// shareArena makes the arena of the CPU's memory that all Steps take their intermediate
// values from, if it is not there. The programs of a training run one after the other, so
// that each can use what the others have left. For each call there must be one of
// leaveArena.
func shareArena() error {
	environment.Lock()
	defer environment.Unlock()
	if environment.steps == 0 {
		cpu, err := ort.GetMemoryInfo()
		if err != nil {
			return fmt.Errorf("runtime: %w", err)
		}
		config, err := ort.NewArenaCfg(0, -1, firstRegion, -1)
		if err != nil {
			return fmt.Errorf("runtime: %w", err)
		}
		defer config.Destroy()
		if err := ort.CreateAndRegisterAllocator(cpu, config); err != nil {
			return fmt.Errorf("runtime: %w", err)
		}
	}
	environment.steps++
	return nil
}

// leaveArena frees the arena when no Step has it any more.
func leaveArena() error {
	environment.Lock()
	defer environment.Unlock()
	if environment.steps--; environment.steps > 0 {
		return nil
	}
	cpu, err := ort.GetMemoryInfo()
	if err == nil {
		err = ort.UnregisterAllocator(cpu)
	}
	if err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	return nil
}
