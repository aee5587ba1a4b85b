"""An order's version counts its submits besides its events: the attempt is stored before the event that tells of it."""

from __future__ import annotations

from django.db import migrations

COUNT = (
    "UPDATE orders_order o SET version = version + a.submits FROM (SELECT order_id, count(*) AS submits FROM orders_attempt "
    "WHERE action = 'submit' GROUP BY order_id) a WHERE a.order_id = o.id"
)


class Migration(migrations.Migration):
    dependencies = [("orders", "0004_one_index_per_question")]
    operations = [migrations.RunSQL(COUNT, migrations.RunSQL.noop)]
