"""The transferable predictor: accuracy of an architecture on a data set, from the images alone."""

from ednag_jax.predictor.coreset import SELECTIONS, Coreset, coreset, random_images
from ednag_jax.predictor.dags import Dag, DagForm, dag_of
from ednag_jax.predictor.data_sets import DataSet, data_set_of, joined, task_table_of
from ednag_jax.predictor.evaluation import TaskQuality, nearest_tasks, task_quality
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.predictor.fitness import PredictedAccuracy, predicted_benchmark
from ednag_jax.predictor.model import Prediction, Predictor, Target, encode_dataset, score
from ednag_jax.predictor.packaged import packaged_predictor
from ednag_jax.predictor.recipe import learning_table, make_predictor
from ednag_jax.predictor.saved import load_predictor, save_predictor
from ednag_jax.predictor.tables import space_table
from ednag_jax.predictor.train import History, train_predictor

__all__ = [
    "SELECTIONS",
    "Coreset",
    "Dag",
    "DagForm",
    "DataSet",
    "History",
    "PredictedAccuracy",
    "Prediction",
    "Predictor",
    "Target",
    "TaskQuality",
    "TaskTable",
    "coreset",
    "dag_of",
    "data_set_of",
    "encode_dataset",
    "joined",
    "learning_table",
    "load_predictor",
    "make_predictor",
    "nearest_tasks",
    "packaged_predictor",
    "predicted_benchmark",
    "random_images",
    "save_predictor",
    "score",
    "space_table",
    "task_quality",
    "task_table_of",
    "train_predictor",
]
