#include "config/config_mark.h"

void config_mark_add(struct config *c, const struct config_mark *mark)
{
    c->mark = config_grow(c->mark, c->mark_count, sizeof *c->mark);
    c->mark[c->mark_count++] = *mark;
}

const struct config_mark *config_mark_first(const struct config *c, size_t index,
                                            const struct config_key *k)
{
    for (size_t i = 0; i < c->mark_count; i++)
        if (c->mark[i].key == k && c->mark[i].index == index)
            return &c->mark[i];
    return NULL;
}

const struct config_mark *config_mark_last(const struct config *c, size_t index,
                                           const struct config_key *k)
{
    for (size_t i = c->mark_count; i > 0; i--)
        if (c->mark[i - 1].key == k && c->mark[i - 1].index == index)
            return &c->mark[i - 1];
    return NULL;
}
