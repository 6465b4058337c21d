package runtime

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

// The functions of NVIDIA's driver that are used. The library is opened when it is
// needed, since most machines do not have it.
static struct {
	int (*init)(unsigned);
	int (*version)(int *);
	int (*count)(int *);
	int (*text)(int, const char **);
	int (*device)(int *, int);
	int (*retain)(void **, int);
	int (*release)(int);
	int (*push)(void *);
	int (*pop)(void **);
	int (*alloc)(void **, size_t, unsigned);
	int (*release_host)(void *);
} cu;

static int cuda_open(char *why, size_t size) {
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(why, size, "%s", dlerror());
		return 0;
	}
	struct { void *to; const char *name; } all[] = {
		{&cu.init, "cuInit"}, {&cu.version, "cuDriverGetVersion"}, {&cu.count, "cuDeviceGetCount"},
		{&cu.text, "cuGetErrorString"}, {&cu.device, "cuDeviceGet"}, {&cu.retain, "cuDevicePrimaryCtxRetain"},
		{&cu.release, "cuDevicePrimaryCtxRelease_v2"}, {&cu.push, "cuCtxPushCurrent_v2"},
		{&cu.pop, "cuCtxPopCurrent_v2"}, {&cu.alloc, "cuMemHostAlloc"}, {&cu.release_host, "cuMemFreeHost"},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if ((*(void **)all[i].to = dlsym(lib, all[i].name)) == NULL) {
			snprintf(why, size, "libcuda.so.1 has no %s", all[i].name);
			return 0;
		}
	}
	return 1;
}

static const char *cuda_text(int code) {
	const char *s = NULL;
	cu.text(code, &s);
	return s == NULL ? "unknown error" : s;
}

static int cuda_version(int *v) { return cu.version(v); }

static int cuda_count(int *n) {
	int code = cu.init(0);
	return code != 0 ? code : cu.count(n);
}

// Page-locked memory belongs to the context of a device. The calling thread makes it
// its current context for the duration of a call.
static int cuda_enter(int number, int *device) {
	void *context;
	int code = cu.init(0);
	if (code == 0) code = cu.device(device, number);
	if (code != 0) return code;
	if ((code = cu.retain(&context, *device)) != 0) return code;
	if ((code = cu.push(context)) != 0) cu.release(*device);
	return code;
}

static int cuda_alloc(int number, size_t n, void **p) {
	void *context;
	int device, code = cuda_enter(number, &device);
	if (code != 0) return code;
	code = cu.alloc(p, n, 1); // 1: for all contexts
	cu.pop(&context);
	if (code != 0) cu.release(device);
	return code;
}

static void cuda_free(int number, void *p) {
	void *context;
	int device;
	if (cuda_enter(number, &device) != 0) return;
	cu.release_host(p);
	cu.pop(&context);
	cu.release(device); // what cuda_enter took
	cu.release(device); // what cuda_alloc took
}

// loads tells whether a library can be loaded. It stays loaded, so that another
// library that needs it by its name finds it, whatever its folder.
static int loads(const char *name, char *why, size_t size) {
	if (dlopen(name, RTLD_NOW | RTLD_LOCAL) != NULL) return 1;
	snprintf(why, size, "%s", dlerror());
	return 0;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"
)

// driver opens NVIDIA's driver; the error says why it cannot be used.
var driver = sync.OnceValue(func() error {
	var why [512]C.char
	if C.cuda_open(&why[0], 512) == 0 {
		return fmt.Errorf("no NVIDIA driver: %s", C.GoString(&why[0]))
	}
	return nil
})

// driverVersion is the newest version of CUDA that the driver supports, 13000 for
// 13.0; 0 without a driver.
func driverVersion() int {
	var v C.int
	if driver() != nil || C.cuda_version(&v) != 0 {
		return 0
	}
	return int(v)
}

// devices counts the GPUs that this process may use.
var devices = sync.OnceValues(func() (int, error) {
	if err := driver(); err != nil {
		return 0, err
	}
	var n C.int
	if code := C.cuda_count(&n); code != 0 {
		return 0, fmt.Errorf("no GPU: the NVIDIA driver says: %s", C.GoString(C.cuda_text(code)))
	}
	if n == 0 {
		return 0, errors.New("no GPU: the NVIDIA driver finds none")
	}
	return int(n), nil
})

// hostMemory is page-locked memory of the host, which a GPU reads and writes at the
// full speed of the bus.
type hostMemory struct {
	device int
	all    []unsafe.Pointer
}

// bytes allocates n bytes; nil where the driver cannot.
func (h *hostMemory) bytes(n int) unsafe.Pointer {
	var p unsafe.Pointer
	if driver() != nil || n == 0 || C.cuda_alloc(C.int(h.device), C.size_t(n), &p) != 0 {
		return nil
	}
	h.all = append(h.all, p)
	return p
}

func (h *hostMemory) free() {
	for _, p := range h.all {
		C.cuda_free(C.int(h.device), p)
	}
	h.all = nil
}

// preload loads a library by its name, else from one of the folders.
func preload(name string, folders ...string) error {
	var failed error
	for _, file := range append([]string{name}, folders...) {
		if file != name {
			file = filepath.Join(file, name)
			if _, err := os.Stat(file); err != nil {
				continue
			}
		}
		var why [512]C.char
		path := C.CString(file)
		ok := C.loads(path, &why[0], 512) != 0
		C.free(unsafe.Pointer(path))
		if ok {
			return nil
		}
		failed = errors.New(C.GoString(&why[0])) // the error about a file that exists says more than one about a missing file
	}
	return failed
}
