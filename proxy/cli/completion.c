#include "cli/completion.h"

#include <stddef.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/setup_answers.h"
#include "gate/admin.h"

static void print_commands(FILE *out)
{
    for (enum admin_command c = 0; c < ADMIN_COMMANDS; c++)
        fprintf(out, "%s%s", c == 0 ? "" : " ", admin_command_name(c));
}

/* Prints the words that may follow a command: those of its usage in lower case. */
static void print_words(enum admin_command c, FILE *out)
{
    const char *words = admin_command_words(c);

    if (words == NULL)
        return;
    fprintf(out, "        %s) words='", admin_command_name(c));
    if (strstr(words, "FILTER") != NULL)
        fputs("user address listener server", out);
    if (strstr(words, "--all") != NULL)
        fputs(" --all", out);
    if (strstr(words, "user NAME") != NULL)
        fputs("user", out);
    if (strstr(words, "|all") != NULL)
        fputs(" all", out);
    if (admin_command_has_json(admin_command_name(c)))
        fputs(" limit offset --json --watch", out);
    fputs("' ;;\n", out);
}

void completion_bash(const char *options, FILE *out)
{
    fputs(
        "# bash completion of sstpgate; printed by: sstpgate --completion bash\n"
        "_sstpgate() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    local sub= command= words= i\n"
        "    COMPREPLY=()\n"
        "    case $prev in\n"
        "    "
        "-c|--config|--ready-file|-s|--socket|-f|--file|--new|--password-file|--ca-file|-o|--out)\n"
        "        compopt -o filenames 2>/dev/null\n"
        "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
        "        return ;;\n"
        "    --users-file|--certificate|--key|--passphrase-file|--radius-secret-file)\n"
        "        compopt -o filenames 2>/dev/null\n"
        "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
        "        return ;;\n"
        "    --import)\n"
        "        COMPREPLY=($(compgen -W 'accel-ppp pppd chap-secrets smbpasswd' -- \"$cur\"))\n"
        "        return ;;\n"
        "    esac\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${COMP_WORDS[i-1]} in -c|--config|-s|--socket|-f|--file) continue ;; esac\n"
        "        case ${COMP_WORDS[i]} in\n"
        "        -*) ;;\n"
        "        *) if [[ -z $sub ]]; then sub=${COMP_WORDS[i]}\n"
        "           elif [[ -z $command ]]; then command=${COMP_WORDS[i]}; fi ;;\n"
        "        esac\n"
        "    done\n"
        "    case $sub/$command in\n",
        out);
    fputs("    /) words='", out);
    cli_words(out);
    fprintf(out, " %s' ;;\n", options);
    fputs("    dial/) words='--user --password-file --method --host --tenant --pin --ca-file "
          "--no-verify'\n"
          "        words+=' --plain --tls-min --timeout --no-ping --json --config --help' ;;\n",
          out);
    fputs("    setup/) words='--out --yes --placeholders --run-as --help", out);
    for (int q = 0; q < SETUP_QUESTIONS; q++)
        fprintf(out, " --%s", setup_question_option((enum setup_question)q));
    fputs("' ;;\n", out);
    fputs("    probe/) words='--host --plain --section --timeout --json --help' ;;\n", out);
    fputs("    user/) words='--file --until --delete --check --list --json --import --encrypted'\n"
          "        words+=' --machines --help' ;;\n",
          out);
    fputs("    certificates/) words='--days --json --config --help' ;;\n", out);
    fputs("    ctl/) words='", out);
    print_commands(out);
    fputs(" --config --socket --json --watch --help' ;;\n"
          "    ctl/*)\n"
          "        case $command in\n",
          out);
    for (enum admin_command c = 0; c < ADMIN_COMMANDS; c++)
        print_words(c, out);
    fputs("        esac ;;\n"
          "    *) compopt -o filenames 2>/dev/null\n"
          "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "        return ;;\n"
          "    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -F _sstpgate sstpgate\n",
          out);
}
