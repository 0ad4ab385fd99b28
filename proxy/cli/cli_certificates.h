/* cli_certificates: `sstpgate certificates` reports the certificates as clients see them, and their
 * problems, also for a monitoring system. */
#ifndef SSTPGATE_CLI_CLI_CERTIFICATES_H
#define SSTPGATE_CLI_CLI_CERTIFICATES_H

/* Runs the command, see cli.h. 0: nothing to do; 1: a warning; 2: usual clients refuse a
 * certificate, the configuration cannot be used, or wrong usage. These are the codes of monitoring
 * plugins. */
int cli_certificates(int argc, char **argv, const char *config);

#endif
