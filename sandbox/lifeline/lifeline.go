// Package lifeline ends a component together with the process that is
// bringing the sandbox up, so that a crash half way leaves nothing running.
package lifeline

import (
	"os"
	"strconv"
)

// Variable names the file descriptor of the pipe to watch.
const Variable = "SANDBOX_LIFELINE"

// Watch returns at once. From then on this process exits as soon as the pipe
// is closed by its writer; one byte read from it cuts the tie for good.
func Watch() {
	descriptor, err := strconv.Atoi(os.Getenv(Variable))
	if err != nil {
		return
	}
	pipe := os.NewFile(uintptr(descriptor), "lifeline")
	go func() {
		defer pipe.Close()
		if released, _ := pipe.Read(make([]byte, 1)); released == 0 {
			os.Exit(1)
		}
	}()
}
