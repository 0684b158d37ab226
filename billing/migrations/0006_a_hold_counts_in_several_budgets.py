from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0005_budgets_and_plans'),
    ]

    operations = [
        migrations.RemoveField(model_name='hold', name='budget'),
        migrations.RemoveField(model_name='hold', name='budget_used'),
    ]
