#include "pipeline/wait.h"

#include <sched.h>

namespace verbex::pipeline {

void Wait::yield() {
    sched_yield();
}

}  // namespace verbex::pipeline
