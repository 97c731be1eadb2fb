/* Work in a process of its own, while this one stays to clear up behind it. */
#include "cli/apart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that would end this process, as far as it has not been told to ignore them. */
static void ending(sigset_t *set)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(set, signals[i]);
    }
    sigaddset(set, SIGCHLD);
}

void pl_cli_hold(struct pl_cli_held *held)
{
    ending(&held->set);
    sigprocmask(SIG_BLOCK, &held->set, &held->before);
}

void pl_cli_release(const struct pl_cli_held *held)
{
    sigprocmask(SIG_SETMASK, &held->before, NULL);
}

/* The child's exit status, or 128 and the signal that either of the two got, as a shell tells. */
static int wait_for(pid_t child, const sigset_t *set)
{
    for (;;) {
        int status, got = sigwaitinfo(set, NULL);
        if (got < 0 && errno != EINTR)
            got = SIGTERM;
        if (got > 0 && got != SIGCHLD) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return 128 + got;
        }
        if (got == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

int pl_cli_apart(const struct pl_cli_held *held, int (*work)(void *opaque), void *opaque)
{
    pid_t self = getpid();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pl_cli_release(held);
        exit(getppid() == self ? work(opaque) : EXIT_FAILURE);
    }
    return child < 0 ? -errno : wait_for(child, &held->set);
}
