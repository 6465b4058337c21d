package runtime

import (
	"fmt"
	"path/filepath"
	gort "runtime"
	"slices"
)

// The releases that Install installs: Pinned for CPUs, PinnedCUDA for NVIDIA's GPUs,
// which needs the libraries of CUDA 12 and cuDNN 9.
const (
	Pinned     = "1.24.3"
	PinnedCUDA = "1.24.4"
)

// release is a release of onnxruntime for one platform.
type release struct {
	version, folder string
	pip, npm        string // the packages that contain it; "": none
	files           []releaseFile
}

// releaseFile is one of its files.
type releaseFile struct {
	name string
	sums []string // its SHA-256 in each of the packages
}

// pinned is the release that is installed on this platform.
func pinned(cuda bool) (release, error) {
	if cuda {
		if platform() != "linux/amd64" {
			return release{}, fmt.Errorf("there is no onnxruntime with CUDA for %s: %w", platform(), ErrUnavailable)
		}
		return release{PinnedCUDA, PinnedCUDA + "-cuda12", "onnxruntime-gpu", "", []releaseFile{
			{"libonnxruntime_providers_shared.so", []string{"086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"}},
			{provider, []string{"43d2eb6ba2d1c2e796f495114420c0a1e1c6a8d987dd17c6e89a211dafdbb6c4"}},
			{"libonnxruntime.so", []string{"b10825f4306b01a4951c528554f2495c4597080c63637b300669544d9c142e76"}},
		}}, nil
	}
	sums, ok := pinnedSums[platform()]
	if !ok {
		return release{}, fmt.Errorf("there is no pinned onnxruntime for %s: %w", platform(), ErrUnavailable)
	}
	return release{Pinned, Pinned, "onnxruntime", "onnxruntime-node", []releaseFile{{libraryNames()[0], sums}}}, nil
}

// pinnedSums holds the SHA-256 of the library in the npm package and in the Python
// wheels, which differ.
var pinnedSums = map[string][]string{
	"linux/amd64": {
		"92ba8e44d31b80a34f5e805076a044122c3be1fffe0d88ed790de7267b0b2682",
		"12e097b0705253189cd2cde73a091febefb7348edcfe606cd54aec010a4bab2b",
	},
	"linux/arm64": {
		"33032cb5b91c12edbf028d7c69fa40a31848d66c0095448758af237d5e0b07db",
		"34b560ca50f0ba1228a715ce3bedb14eb0fa8e9002dd43dfe083be399f67d7ad",
	},
	"darwin/arm64": {
		"76831409ce6eded92b4cb343cf422c458a60c1ea1d5f3cfa69692ab7fcc67f0f",
		"c3052e7883681252b3b388a408a3e809c0ad6aaa666c6b8d457fa1e3c3153673",
	},
}

// in tells whether a folder has all files of the release.
func (r release) in(dir string) bool {
	for _, f := range r.files {
		sum, err := fileSum(filepath.Join(dir, f.name))
		if err != nil || !slices.Contains(f.sums, sum) {
			return false
		}
	}
	return true
}

// platform is the operating system and the architecture: "linux/amd64".
func platform() string { return gort.GOOS + "/" + gort.GOARCH }

// wheelPlatforms are the tags of the wheels for this platform.
func wheelPlatforms() []string {
	switch platform() {
	case "linux/amd64":
		return []string{"manylinux_2_28_x86_64", "manylinux_2_27_x86_64"}
	case "linux/arm64":
		return []string{"manylinux_2_28_aarch64", "manylinux_2_27_aarch64"}
	}
	return []string{"macosx_14_0_arm64"}
}
