#pragma once
/* The life of each process of the worker after its main has hardened it. Each talks only over the
 * descriptors numbered in ipc/protocol.h, so a test can play its peer. They return 0 at the end of their
 * work, or -errno. */

int supervisor_main(void);
int unwinder_main(void);
int symbolizer_main(void);
int exporter_main(void);
