/* service: the gate as a service of systemd (Type=notify): its state, a line with the number of
 * tunnels, and the watchdog, which gets its messages only while the loops of the main thread and
 * all workers turn. Main thread. Without a service manager every function is a no-op. */
#ifndef SSTPGATE_GATE_SERVICE_H
#define SSTPGATE_GATE_SERVICE_H

struct gate;

void service_open(struct gate *gate);
void service_close(struct gate *gate);

/* Reports that the gate serves. */
void service_ready(struct gate *gate);

/* Report that a reload begins, and that it has ended, whatever its outcome. */
void service_reloading(struct gate *gate);
void service_reloaded(struct gate *gate);

/* Reports that the gate ends its calls. Not for a drain, to which systemd would give only
 * TimeoutStopSec=. */
void service_stopping(struct gate *gate);

/* Ends all reports: another process is the main process of the service now. */
void service_leave(struct gate *gate);

#endif
